//! [`Handshake`]: what a session keeps of its opening request.

mod address;
mod fields;
mod record;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::Arc;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{Extensions, HeaderMap, Uri, Version};
#[cfg(feature = "tls")]
use tokio_rustls::rustls::pki_types::CertificateDer;

pub(crate) use self::fields::{cookies, form_pairs};
use self::record::Record;
use super::attributes::Attributes;
use super::extension::{Extension, InvalidExtensions};
use crate::access::{Identity, Principal};
use crate::message::Text;
use crate::path::PathParams;
use crate::wire::Deflate;

/// The opening handshake (RFC 6455 4.1): what the peer asked for, and from where; Jakarta's `HandshakeRequest` (HS-01 to HS-09).
///
/// It stays readable for the life of the session, and after. A [`Configurator`](crate::Configurator) sees it before there is a session,
/// and may leave something in it for the handlers: in its [`attributes`](Self::attributes), which become the session's, or in its
/// [`extensions`](Self::extensions_mut), where a [`Principal`](crate::Principal) is looked for.
pub struct Handshake {
    record: Record,
    pub(crate) path_params: PathParams,
    secure: bool,
    version: Version,
    /// Boxed, as few sessions have one.
    pub(crate) subprotocol: Option<Box<Text>>,
    pub(crate) agreed: Box<[Extension]>,
    /// What was agreed on about compression, if anything was.
    pub(crate) deflate: Option<Deflate>,
    /// A token stood among the subprotocols, whose marker is agreed on if no subprotocol is.
    pub(crate) answers_bearer: bool,
    extensions: Extensions,
    attributes: Attributes,
    /// What the server answered, where we are the client.
    response: Option<Box<Record>>,
    /// The proxy that it came through, if that was believed; boxed, as it is rarely more than one word.
    via: Option<Box<Via>>,
}

/// What a trusted proxy has said, beside what stands in the place of what we see ourselves.
struct Via {
    proxy: Option<SocketAddr>,
    host: Option<String>,
}

/// The host that a client has named, as a trusted proxy says. It travels in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct NamedHost(pub(crate) String);

/// The two ends of the connection that the request came over; `None` where an end has no IP address (a Unix socket, memory).
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) secure: bool,
    /// The certificates that the client has shown.
    #[cfg(feature = "tls")]
    pub(crate) shown: Option<Shown>,
    /// Who is really at the other end, where a proxy has told who `remote` is.
    pub(crate) proxy: Option<SocketAddr>,
    /// The connection has a place among those of its address, and gives it to the session that it becomes.
    pub(crate) counted: bool,
}

/// A client's certificates, its own first.
#[cfg(feature = "tls")]
pub(crate) type Shown = Arc<[CertificateDer<'static>]>;

impl Handshake {
    pub(crate) fn new(parts: &mut Parts, path_params: PathParams, ends: Ends) -> Self {
        if parts.version == Version::HTTP_2 {
            resemble_http1(parts);
        }
        let host = parts.extensions.remove::<NamedHost>().map(|host| host.0);
        let via = (host.is_some() || ends.proxy.is_some()).then(|| Box::new(Via { proxy: ends.proxy, host }));
        // There, since it takes no room in sessions that have none.
        #[cfg(feature = "tls")]
        if let Some(shown) = &ends.shown {
            parts.extensions.insert(Shown::clone(shown));
        }
        Handshake {
            record: Record::new(&parts.uri, &parts.headers, &ends),
            path_params,
            secure: ends.secure,
            version: parts.version,
            subprotocol: None,
            agreed: Box::default(),
            deflate: None,
            answers_bearer: false,
            extensions: taken(&mut parts.extensions),
            attributes: Attributes::default(),
            response: None,
            via,
        }
    }

    /// A handshake of ours: the whole URI, and the headers as they are about to be sent.
    #[cfg(feature = "client")]
    pub(crate) fn of_client(uri: &Uri, headers: &HeaderMap, ends: Ends) -> Self {
        Handshake {
            record: Record::new(uri, headers, &ends),
            path_params: PathParams::default(),
            secure: ends.secure,
            version: Version::HTTP_11,
            subprotocol: None,
            agreed: Box::default(),
            deflate: None,
            answers_bearer: false,
            extensions: Extensions::new(),
            attributes: Attributes::default(),
            response: None,
            via: None,
        }
    }

    /// The server has said yes.
    #[cfg(feature = "client")]
    pub(crate) fn answered(
        &mut self,
        response: &HeaderMap,
        subprotocol: Option<Text>,
        agreed: Vec<Extension>,
    ) {
        self.response = Some(Box::new(Record::new(&Uri::default(), response, &Ends::default())));
        self.subprotocol = subprotocol.map(Box::new);
        self.agreed = agreed.into();
    }

    /// The request's URI. On a server it is as it was sent: usually path and query. On a client it is the whole URL that led to the
    /// connection, after all redirects and without user and password (Jakarta SES-24).
    pub fn uri(&self) -> &Uri {
        self.record.uri()
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.record.path_and_query().0
    }

    /// The query string, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.record.path_and_query().1
    }

    /// The whole URL that the peer connected to, `ws://example.com/chat?lang=en` (Jakarta SES-24). The host is the one that the
    /// request names; if that cannot be part of a URL this is the URI as it was sent.
    pub fn url(&self) -> Uri {
        let scheme = if self.secure { "wss" } else { "ws" };
        let path = self.uri().path_and_query().map_or("/", |path| path.as_str());
        let url =
            Uri::builder().scheme(scheme).authority(self.host().unwrap_or_default()).path_and_query(path);
        url.build().unwrap_or_else(|_| self.uri().clone())
    }

    /// The host that the peer connected to, with the port if it named one: `example.com`, `localhost:8080`. Behind a [trusted
    /// proxy](crate::Settings::trusted_proxies) it is the one that the client named, if the proxy says so.
    pub fn host(&self) -> Option<&str> {
        if let Some(host) = self.via.as_ref().and_then(|via| via.host.as_deref()) {
            return Some(host);
        }
        // A request that names the host in its first line means that one (RFC 9112 3.2.2).
        let stated = self.uri().authority().map(http::uri::Authority::as_str);
        stated.or_else(|| self.header("host")).filter(|host| !host.is_empty())
    }

    /// The first header of this name, if it is text. Names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.record.all(name).next()?).ok()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        self.record.map()
    }

    /// The headers of the server's answer, where we are the client; `None` on a server.
    pub fn response_headers(&self) -> Option<&HeaderMap> {
        self.response.as_ref().map(|response| response.map())
    }

    /// The value of a variable of the endpoint's path, decoded.
    pub fn path_param(&self, name: &str) -> Option<&str> {
        self.path_params.get(name)
    }

    /// The variables of the endpoint's path.
    pub fn path_params(&self) -> &PathParams {
        &self.path_params
    }

    /// The first query parameter of this name, decoded (`application/x-www-form-urlencoded`).
    pub fn query_param(&self, name: &str) -> Option<String> {
        self.query_params().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The query parameters, decoded, in their order.
    pub fn query_params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        fields::form_pairs(self.query().unwrap_or_default())
    }

    /// The variables of the path and the query parameters together, decoded, each name with all its values: those of the path
    /// first, then those of the query in their order (Jakarta HS-03).
    pub fn parameters(&self) -> BTreeMap<String, Vec<String>> {
        let mut parameters = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in self.path_params.iter() {
            parameters.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        for (name, value) in self.query_params() {
            parameters.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        parameters
    }

    /// The cookies, names and values as they were set, in their order.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts("cookie").flat_map(fields::cookies)
    }

    /// The value of the first cookie of this name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The languages that the peer wants, as tags such as `de-AT`, the most wanted first (`Accept-Language`; Jakarta HS-08).
    pub fn locales(&self) -> Vec<&str> {
        fields::languages(self.texts("accept-language"))
    }

    /// The subprotocols that the peer offered, in its order of preference.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        let names = self.texts("sec-websocket-protocol").flat_map(|value| value.split(','));
        names.map(str::trim).filter(|name| !name.is_empty())
    }

    /// The extensions that the peer offered, in its order of preference (RFC 6455 9.1).
    ///
    /// # Errors
    /// The header is not a list of extensions. Who sends such a one is refused, so no session has it.
    pub fn offered_extensions(&self) -> Result<Vec<Extension>, InvalidExtensions> {
        let mut offered = Vec::new();
        for header in self.record.all("sec-websocket-extensions") {
            // What is not text stands inside of quotes, or is a fault of the grammar.
            offered.append(&mut Extension::parse_list(&String::from_utf8_lossy(header))?);
        }
        Ok(offered)
    }

    /// The extensions that were agreed on, in their order.
    pub fn agreed_extensions(&self) -> &[Extension] {
        &self.agreed
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().map(|name| &***name)
    }

    /// The peer's address; `None` over a Unix socket or in memory. Behind a [trusted proxy](crate::Settings::trusted_proxies) it is the
    /// client's, as the proxy says; the port is 0 if it does not say that.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.record.remote()
    }

    /// The address of the proxy that the connection came through, if one has told who the peer is: who is really at the other end.
    /// `None` without one, and for one that came through a Unix socket.
    pub fn proxy_addr(&self) -> Option<SocketAddr> {
        self.via.as_ref()?.proxy
    }

    /// Our address; `None` over a Unix socket or in memory. With the PROXY protocol it is the one that the client connected to.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.record.local()
    }

    /// Whether the connection is encrypted; behind a [trusted proxy](crate::Settings::trusted_proxies), whether the client's is, as the
    /// proxy says.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The certificates that the client has shown, its own first; none if it has shown none, or was not asked (Jakarta HS-07). An authority
    /// of those that [`Tls::client_certificates`](crate::Tls::client_certificates) names has signed them, or whatever a whole configuration of
    /// rustls wants to be true of them is true. As they came, in DER: what stands in them is for another crate to read.
    #[cfg(feature = "tls")]
    pub fn client_certificates(&self) -> &[CertificateDer<'static>] {
        self.extensions.get::<Shown>().map_or(&[], |shown| shown)
    }

    /// The version of HTTP that the request was made in: [`HTTP_11`](Version::HTTP_11), or [`HTTP_2`](Version::HTTP_2) where the
    /// WebSocket is a stream of a connection that others may share (RFC 8441). On a client it is always HTTP/1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What tower layers and the configurator left for the handlers, by type.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Who the peer was when it connected, if a [`Principal`](crate::Principal) of this type has been established (Jakarta HS-04).
    /// [`Session::principal`](crate::Session::principal) is who it is now.
    pub fn principal<T: Send + Sync + 'static>(&self) -> Option<Principal<T>> {
        self.extensions.get().cloned()
    }

    /// What the runtime knows of who the peer was when it connected; `None` for a stranger.
    pub fn identity(&self) -> Option<&Identity> {
        self.extensions.get()
    }

    /// Whether the peer was in this role when it connected; a stranger is in none (Jakarta's `isUserInRole`, HS-04).
    pub fn has_role(&self, role: &str) -> bool {
        self.identity().is_some_and(|identity| identity.has_role(role))
    }

    /// What the configurator leaves for the handlers; for a [`Principal`](crate::Principal) there is
    /// [`establish`](crate::Principal::establish).
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// What will be, and then are, the [`attributes`](crate::Session::attributes) of the session: the same object.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Changes what is kept of the request.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Uri, &mut HeaderMap)) {
        let (mut uri, mut headers) = (self.uri().clone(), self.headers().clone());
        edit(&mut uri, &mut headers);
        let ends = Ends { remote: self.peer_addr(), local: self.local_addr(), ..Ends::default() };
        self.record = Record::new(&uri, &headers, &ends);
    }

    /// The lines of a header.
    pub(crate) fn lines(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.record.all(name)
    }

    /// The lines of a header that are text.
    fn texts<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.lines(name).filter_map(|value| std::str::from_utf8(value).ok())
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("uri", self.uri())
            .field("peer", &self.peer_addr())
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}

/// Puts the host where HTTP/1.1 has it, which HTTP/2 names in `:authority` (RFC 9113 8.3.1): whoever looks at a handshake need not know
/// both. Nor is there anything more to be known of the `:protocol`.
fn resemble_http1(parts: &mut Parts) {
    #[cfg(feature = "http2")]
    parts.extensions.remove::<hyper::ext::Protocol>();
    let Some(authority) = parts.uri.authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        parts.headers.insert(HOST, host);
    }
    parts.uri = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
}

/// Takes the extensions out. A map that has become empty would hold its memory for as long as the session lives.
fn taken(extensions: &mut Extensions) -> Extensions {
    let extensions = std::mem::take(extensions);
    if extensions.is_empty() { Extensions::new() } else { extensions }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(uri: &str, headers: &[(&str, &str)]) -> Handshake {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::new(&mut parts, PathParams::default(), Ends::default())
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let handshake = handshake("/", &[("X-One", "1"), ("x-two", "2"), ("x-one", "again")]);
        assert_eq!(handshake.header("x-ONE"), Some("1"));
        assert_eq!(handshake.header("x-three"), None);
        assert_eq!(handshake.headers().get_all("x-one").iter().count(), 2);
        assert_eq!(handshake.headers()["x-two"], "2");
    }

    #[test]
    fn query_parameters_are_decoded() {
        let handshake = handshake("/p?a=1&b=x+y%26z&a=2&flag&=e", &[]);
        assert_eq!(handshake.query_param("a").as_deref(), Some("1"));
        assert_eq!(handshake.query_param("b").as_deref(), Some("x y&z"));
        assert_eq!(handshake.query_param("flag").as_deref(), Some(""));
        assert_eq!(handshake.query_param("c"), None);
        assert_eq!(handshake.query_params().count(), 5);
    }

    #[test]
    fn offered_subprotocols_come_from_every_header_line() {
        let handshake =
            handshake("/", &[("sec-websocket-protocol", "a, b"), ("Sec-WebSocket-Protocol", "c,")]);
        assert_eq!(handshake.offered_subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn the_url_is_whole() {
        let table = [
            ("/chat?x=1", "localhost:8080", "ws://localhost:8080/chat?x=1"),
            ("/", "example.com", "ws://example.com/"),
            ("http://other.example:81/p", "example.com", "ws://other.example:81/p"),
            ("/p", "not a host", "/p"),
            ("/p", "", "/p"),
        ];
        for (uri, host, url) in table {
            assert_eq!(handshake(uri, &[("host", host)]).url().to_string(), url, "{uri} {host}");
        }
        let mut secure = handshake("/chat", &[("host", "[::1]:8443")]);
        secure.secure = true;
        assert_eq!(secure.url().to_string(), "wss://[::1]:8443/chat");
        assert_eq!(secure.host(), Some("[::1]:8443"));
    }

    #[test]
    fn the_host_of_http2_stands_where_http1_has_it() {
        let request =
            http::Request::builder().version(Version::HTTP_2).uri("https://server.example:81/chat?x=1");
        let (mut parts, ()) = request.header("cookie", "a=1").body(()).unwrap().into_parts();
        let handshake = Handshake::new(&mut parts, PathParams::default(), Ends::default());
        assert_eq!((handshake.path(), handshake.query()), ("/chat", Some("x=1")));
        assert_eq!(*handshake.uri(), "/chat?x=1");
        assert_eq!(
            (handshake.header("host"), handshake.host()),
            (Some("server.example:81"), Some("server.example:81"))
        );
        assert_eq!(handshake.headers().len(), 2);
        // Whether the connection is encrypted is not for the peer to say.
        assert_eq!(handshake.url(), "ws://server.example:81/chat?x=1");
        assert_eq!(handshake.version(), Version::HTTP_2);
    }

    #[test]
    fn parameters_of_path_and_query_stand_together() {
        let mut handshake = handshake("/chat/blue?room=red&lang=en&room=x+y", &[]);
        handshake.path_params = PathParams::from([("room", "blue"), ("seat", "7")]);
        let parameters = handshake.parameters();
        assert_eq!(parameters["room"], ["blue", "red", "x y"]);
        assert_eq!(parameters["seat"], ["7"]);
        assert_eq!(parameters["lang"], ["en"]);
        assert_eq!(parameters.len(), 3);
    }

    #[test]
    fn cookies_and_languages_come_from_every_header_line() {
        let headers = [("cookie", "a=1; b=2"), ("cookie", "c=3"), ("accept-language", "en;q=0.5, de")];
        let handshake = handshake("/", &headers);
        assert_eq!(handshake.cookies().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!((handshake.cookie("c"), handshake.cookie("d")), (Some("3"), None));
        assert_eq!(handshake.locales(), ["de", "en"]);
    }

    #[test]
    fn offered_extensions_come_from_every_header_line() {
        let name = "sec-websocket-extensions";
        let offered = handshake("/", &[(name, "a; b=1"), (name, "c")]).offered_extensions().unwrap();
        assert_eq!(offered, [Extension::new("a").with("b", "1"), Extension::new("c")]);
        assert!(handshake("/", &[(name, "a; =")]).offered_extensions().is_err());
    }
}
