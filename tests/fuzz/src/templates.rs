//! Any text as the template of a path: it is kept as it was written, or the fault is shown within it.

use endpoint_runtime::Template;

pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Template::parse(text) {
        Ok(template) => {
            assert_eq!(template.as_str(), text);
            assert_eq!(template.is_literal(), template.names().next().is_none());
            let mut names: Vec<&str> = template.names().collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "a name stands twice");
            assert!(template.normal_form().starts_with('/'));
        }
        Err(error) => {
            assert!(text.get(error.range()).is_some(), "{:?} is not a part of it", error.range());
            assert!(!error.message().is_empty());
        }
    }
}
