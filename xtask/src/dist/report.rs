//! [`Image`](super::link::Image) -> files: report.json, report.html, SBOM, licences; then the stage becomes the image folder.
