//! "Did you mean": the known name that is nearest to what somebody wrote.

/// The end of a sentence that says that there is no such name, if a known name is near.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    nearest(written, known).map(|name| format!(", did you mean `{name}`?"))
}

/// The names, for a sentence: `` `a`, `b` and `c` ``.
pub(crate) fn list(names: &[&str], and: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {and} {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = normal(written);
    known
        .iter()
        .map(|&name| (distance(&written, &normal(name)), name))
        .filter(|&(distance, name)| {
            distance <= name.len() / 3 || (written.len() > 3 && normal(name).contains(&written))
        })
        .min()
        .map(|(_, name)| name)
}

/// `maxMessageSize` and `max_message_size` are the same name in two languages.
fn normal(name: &str) -> String {
    name.chars().filter(|&character| character != '_').flat_map(char::to_lowercase).collect()
}

/// How many letters must be changed, added or removed to make one word of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..other.len() {
            let replaced = diagonal + usize::from(letter != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["scope", "max_message_size", "idle_timeout", "origins", "crate"];

    #[test]
    fn near_names_are_found() {
        for (written, name) in [
            ("scop", Some("scope")),
            ("maxMessageSize", Some("max_message_size")),
            ("message_size", Some("max_message_size")),
            ("idle_timout", Some("idle_timeout")),
            ("timeout", Some("idle_timeout")),
            ("origin", Some("origins")),
            ("encoders", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, KNOWN), name, "{written}");
        }
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list(&[], "and"), "");
        assert_eq!(list(&["a"], "and"), "`a`");
        assert_eq!(list(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
