//! Any text as the header that names extensions: what is understood is understood the same when we say it.

use endpoint_runtime::Extension;

pub fn run(data: &[u8]) {
    let Ok(header) = str::from_utf8(data) else { return };
    let Ok(extensions) = Extension::parse_list(header) else { return };
    let ours: Vec<String> = extensions.iter().map(Extension::to_string).collect();
    assert_eq!(Extension::parse_list(&ours.join(", ")), Ok(extensions), "{ours:?}");
}
