use super::*;

/// What was written to stdout and stderr.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a piece of work writes: (stdout, stderr).
fn written(output: &Output, color: bool, live: bool, work: impl FnOnce(&Ui)) -> (String, String) {
    let (out, err) = (Sink::default(), Sink::default());
    let ui = Ui::with(output, color, live, Box::new(out.clone()), Box::new(err.clone()));
    work(&ui);
    (out.text(), err.text())
}

fn everything(ui: &Ui) {
    ui.status("Resolving", "hello 1.0");
    ui.detail("Running", "uv pip install");
    let stage = ui.stage("link", "Linking", "9.4 MiB");
    ui.note("python-app/pylock.toml was written");
    stage.finish();
    ui.warning("two lines\n");
    let inner = anyhow::anyhow!("no space left\non the device");
    ui.error(&inner.context("cannot write the image"));
    ui.result("/image/hello", json!({"reason": "image", "launcher": "/image/hello"})).unwrap();
}

#[test]
fn people_read_lines_as_cargo_writes_them() {
    let (out, err) = written(&Output::default(), false, false, everything);
    assert_eq!(out, "/image/hello\n");
    assert_eq!(
        err,
        "   Resolving hello 1.0
     Linking 9.4 MiB
note: python-app/pylock.toml was written
warning: two lines
error: cannot write the image
  caused by: no space left
    on the device
"
    );
}

#[test]
fn quiet_leaves_errors_and_the_result_and_verbose_adds_details() {
    let quiet = Output { quiet: true, ..Output::default() };
    let (out, err) = written(&quiet, false, false, everything);
    assert_eq!(out, "/image/hello\n");
    assert_eq!(
        err,
        "error: cannot write the image\n  caused by: no space left\n    on the device\n"
    );
    let verbose = Output { verbose: 1, ..Output::default() };
    let (_, err) = written(&verbose, false, false, everything);
    assert!(err.contains("     Running uv pip install\n"), "{err}");
}

#[test]
fn machines_read_one_object_per_line() {
    let json = Output { message_format: Format::Json, quiet: true, ..Output::default() };
    let (out, _) = written(&json, false, false, everything);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<&str> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["stage-started", "message", "stage-finished", "message", "message", "image"]
    );
    assert_eq!(events[1]["level"], "note");
    assert!(events[2]["seconds"].is_number());
    assert_eq!(events[4]["message"], "cannot write the image");
    assert_eq!(events[4]["causes"], json!(["no space left\non the device"]));
}

#[test]
fn colours_are_around_verbs_only_and_only_when_wanted() {
    let (_, plain) = written(&Output::default(), false, false, everything);
    assert!(!plain.contains('\x1b'));
    let (_, colored) = written(&Output::default(), true, false, |ui| ui.status("Linking", "x"));
    assert_eq!(colored, "     \x1b[1m\x1b[32mLinking\x1b[0m x\n");
    for (flag, cargo, expected) in [
        (Some(Color::Always), Some("never"), true),
        (Some(Color::Never), Some("always"), false),
        (None, Some("always"), true),
        (None, Some("never"), false),
    ] {
        assert_eq!(use_color(flag, cargo), expected, "{flag:?} {cargo:?}");
    }
}

/// On a terminal a stage's line is redrawn in place; in the end it stands once, below what was said meanwhile.
#[test]
fn a_terminal_shows_one_line_that_is_updated() {
    let (_, err) = written(&Output::default(), false, true, |ui| {
        let stage = ui.stage("link", "Linking", "9.4 MiB");
        ui.note("something");
        stage.finish();
    });
    assert!(err.starts_with("\r\x1b[2K\x1b[?7l     Linking 9.4 MiB "), "{err:?}");
    let seen = err.replace(LIVE_START, LIVE_WIPE).replace(LIVE_END, "");
    let lines: Vec<&str> =
        seen.lines().map(|line| line.rsplit(LIVE_WIPE).next().unwrap()).collect();
    assert_eq!(lines, ["note: something", "     Linking 9.4 MiB"]);
}

/// The line of the stage that failed stays above the error.
#[test]
fn a_stage_that_fails_leaves_its_line() {
    let (_, err) = written(&Output::default(), false, true, |ui| {
        let _stage = ui.stage("link", "Linking", "9.4 MiB");
    });
    assert!(err.ends_with("\r\x1b[2K     Linking 9.4 MiB\n"), "{err:?}");
}

#[test]
fn sizes_and_times_for_people() {
    for (size, text) in [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (17_889_344, "17.1 MiB"),
        (3_221_225_472, "3.00 GiB"),
    ] {
        assert_eq!(bytes(size), text);
    }
    for (milliseconds, text) in [(320, "0.3s"), (59_900, "59.9s"), (125_000, "2m 05s")] {
        assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
    }
}
