//! The values that one request path gives to the variables of its template.

use std::fmt;
use std::sync::Arc;

use super::grammar;
use super::template::Template;

/// The variables of one request path, percent-decoded, by name.
///
/// A value is never empty, but it is what the peer wrote: `..` and, decoded from `%2F`, `/` may stand in it.
/// Mind that before a value becomes part of a file name.
///
/// For an [upgrade](crate::Container::upgrade) they are made of names and values:
///
/// ```
/// use endpoint_runtime::PathParams;
///
/// let params = PathParams::from([("room", "blue")]);
/// assert_eq!(params.get("room"), Some("blue"));
/// ```
#[derive(Clone, Default)]
pub struct PathParams(
    /// `None` when the path has no variables.
    Option<Box<Values>>,
);

#[derive(Clone)]
struct Values {
    template: Arc<Template>,
    /// All values, one after the other: as many allocations for some as for one.
    values: Box<str>,
    /// Where in `values` each one ends.
    ends: Box<[usize]>,
}

impl PathParams {
    /// The value of a variable; `None` if the template has none of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(candidate, value)| (candidate == name).then_some(value))
    }

    /// Names and values in the order of the template.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|found| {
            let starts = std::iter::once(&0).chain(&found.ends);
            let values = starts.zip(&found.ends).map(|(&start, &end)| &found.values[start..end]);
            found.template.names().zip(values)
        })
    }

    fn new(template: Arc<Template>, values: String, ends: Vec<usize>) -> Self {
        Self(Some(Box::new(Values { template, values: values.into(), ends: ends.into() })))
    }

    /// Decodes the raw values of a template's variables, in the order of its names.
    pub(super) fn decode(template: &Arc<Template>, raw: &[&str]) -> Result<Self, BadEncoding> {
        if raw.is_empty() {
            return Ok(Self::default());
        }
        let mut values = String::with_capacity(raw.iter().map(|value| value.len()).sum());
        let mut ends = Vec::with_capacity(raw.len());
        for (name, value) in template.names().zip(raw) {
            let Some(value) = grammar::decode(value) else {
                return Err(BadEncoding { variable: name.to_owned() });
            };
            values.push_str(&value);
            ends.push(values.len());
        }
        Ok(Self::new(Arc::clone(template), values, ends))
    }
}

impl<K: Into<String>, V: AsRef<str>> FromIterator<(K, V)> for PathParams {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let (mut names, mut values, mut ends) = (Vec::new(), String::new(), Vec::new());
        for (name, value) in pairs {
            names.push(name.into());
            values.push_str(value.as_ref());
            ends.push(values.len());
        }
        if names.is_empty() {
            return Self::default();
        }
        let template = Template::of_variables(names.into_iter());
        Self::new(Arc::new(template), values, ends)
    }
}

impl<K: Into<String>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for PathParams {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for PathParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The path of a request matches a template, but the value of a variable is not percent-encoded UTF-8 (RFC
/// 3986 2.1).
///
/// The handshake answers 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEncoding {
    variable: String,
}

impl BadEncoding {
    /// The variable whose value cannot be decoded.
    pub fn variable(&self) -> &str {
        &self.variable
    }
}

impl fmt::Display for BadEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value of {{{}}} in the request path is not percent-encoded UTF-8", self.variable)
    }
}

impl std::error::Error for BadEncoding {}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(template: &str, raw: &[&str]) -> Result<PathParams, BadEncoding> {
        PathParams::decode(&Arc::new(Template::parse(template).unwrap()), raw)
    }

    #[test]
    fn values_are_found_by_name_and_in_order() {
        let params = params("/{a}/x/{b}/{*rest}", &["caf%C3%A9", "b", "x%2Fy/z/"]).unwrap();
        assert_eq!(params.get("a"), Some("café"));
        assert_eq!(params.get("b"), Some("b"));
        assert_eq!(params.get("rest"), Some("x/y/z/"));
        assert_eq!(params.get("x"), None);
        assert_eq!(params.iter().collect::<Vec<_>>(), [("a", "café"), ("b", "b"), ("rest", "x/y/z/")]);
        assert_eq!(format!("{params:?}"), r#"{"a": "café", "b": "b", "rest": "x/y/z/"}"#);
    }

    #[test]
    fn values_may_be_given() {
        let params = PathParams::from([("b", "1"), ("a", ""), ("c", "x/y")]);
        assert_eq!(params.iter().collect::<Vec<_>>(), [("b", "1"), ("a", ""), ("c", "x/y")]);
        assert_eq!(params.get("c"), Some("x/y"));
        assert_eq!(Vec::<(String, String)>::new().into_iter().collect::<PathParams>().iter().count(), 0);
    }

    #[test]
    fn a_path_without_variables_has_none() {
        let params = params("/a", &[]).unwrap();
        assert_eq!(params.iter().count(), 0);
        assert_eq!(params.get("a"), None);
    }

    #[test]
    fn a_value_that_cannot_be_decoded_is_named() {
        for raw in ["%", "%4", "%zz", "%ff", "a%C3"] {
            let error = params("/{a}/{b}", &["ok", raw]).unwrap_err();
            assert_eq!(error.variable(), "b", "{raw}");
            assert_eq!(
                error.to_string(),
                "the value of {b} in the request path is not percent-encoded UTF-8"
            );
        }
    }
}
