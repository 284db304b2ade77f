import flask
from flask import Blueprint, Flask, abort, flash, jsonify, redirect, request, session, url_for

units = Blueprint("units", __name__, url_prefix="/units", template_folder="templates/parts")


@units.get("/<int:number>")
def show(number):
    if number > 2:
        abort(404, f"unit {number} is not there")
    return flask.render_template("unit.html", number=number)


def create_app():
    app = Flask(__name__)
    app.secret_key = "not a secret: for tests"
    app.config.from_mapping(TITLE="Panel <1>", MAX_CONTENT_LENGTH=1_000_000)
    app.register_blueprint(units)

    @app.template_filter("celsius")
    def celsius(value):
        return f"{value:.1f} °C"

    @app.get("/")
    def index():
        return flask.render_template("index.html", values=[21.04, -3])

    @app.get("/state")
    def state():
        return jsonify(ok=True, values=[1, 2.5, "ü"], query=request.args.to_dict())

    @app.post("/login")
    def login():
        session["user"] = request.form["user"]
        flash("welcome")
        return redirect(url_for("whoami"))

    @app.get("/whoami")
    def whoami():
        return f"{session.get('user')} {flask.get_flashed_messages()}"

    @app.post("/upload")
    def upload():
        file = request.files["firmware"]
        return jsonify(name=file.filename, size=len(file.read()), json=request.form.get("note"))

    @app.get("/stream")
    def stream():
        return app.response_class((f"line {n}\n" for n in range(3)), mimetype="text/plain")

    @app.get("/resource")
    def resource():
        with app.open_resource("static/panel.css") as file:
            return {"size": len(file.read())}

    @app.get("/fails")
    def fails():
        raise RuntimeError("a handler that fails")

    @app.cli.command("hello")
    def hello():
        """Say hello."""
        print("hello from the command line")

    return app
