//! What stands inside a request's fields: form-encoded pairs, cookies, languages.

use std::borrow::Cow;

/// The pairs of a query string, decoded, in their order (`application/x-www-form-urlencoded`).
pub(crate) fn form_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decode(name), form_decode(value))
    })
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// The cookies of one `Cookie` header (RFC 6265 4.2), names and values as they were set, without quotes around the value.
pub(crate) fn cookies(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        Some((name.trim(), unquoted.unwrap_or(value)))
    })
}

/// The language tags of `Accept-Language` headers, the most wanted first (RFC 9110 12.5.4). `*` is no language, and what has
/// the weight 0 is not wanted.
pub(super) fn languages<'h>(headers: impl Iterator<Item = &'h str>) -> Vec<&'h str> {
    let items = headers.flat_map(|header| header.split(','));
    let mut weighted: Vec<_> = items
        .filter_map(|item| {
            let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
            let (tag, weight) = (tag.trim(), weight(parameters)?);
            (!tag.is_empty() && tag != "*" && weight > 0).then_some((tag, weight))
        })
        .collect();
    // Stable: of equals, the first is wanted most.
    weighted.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
    weighted.into_iter().map(|(tag, _)| tag).collect()
}

/// The weight in thousandths; `None` if it is none.
fn weight(parameters: &str) -> Option<u16> {
    let Some((name, value)) = parameters.split_once('=') else {
        return parameters.trim().is_empty().then_some(1000);
    };
    let weight: f32 = value.trim().parse().ok()?;
    let sound = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight);
    sound.then_some((weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_pairs() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("a=1; b=2", &[("a", "1"), ("b", "2")]),
            ("a=\"1 2\";b=", &[("a", "1 2"), ("b", "")]),
            ("a=b=c; none; a=again", &[("a", "b=c"), ("a", "again")]),
            ("a=\"", &[("a", "\"")]),
            ("", &[]),
        ];
        for (header, expected) in table {
            assert_eq!(cookies(header).collect::<Vec<_>>(), *expected, "{header}");
        }
    }

    #[test]
    fn languages_stand_in_the_order_of_their_weight() {
        let table: &[(&[&str], &[&str])] = &[
            (&["de"], &["de"]),
            (&["en;q=0.5, de, eo;q=0.9"], &["de", "eo", "en"]),
            (&["en; q=0.8", "fr;q=0.8 , *;q=0.1"], &["en", "fr"]),
            (&["de;q=0, en;q=2, fr;q=x, eo;level=1"], &[]),
            (&["", ","], &[]),
            (&["en;q=0.899, de;q=0.9"], &["de", "en"]),
        ];
        for (headers, expected) in table {
            assert_eq!(languages(headers.iter().copied()), *expected, "{headers:?}");
        }
    }
}
