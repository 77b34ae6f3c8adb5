//! [`BearerTokens`]: peers that say who they are by a token (RFC 6750), in a way that browsers can too.

mod sources;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{Extensions, HeaderValue, StatusCode};

use self::sources::Sources;
use crate::access::{Forbidden, Principal};
use crate::context::ApplicationContext;
use crate::endpoint::Configurator;
use crate::error::{Refusal, Result};
use crate::session::{Handshake, Session};

/// The name under which a token is offered among the subprotocols. It is answered where the endpoint speaks none of the others: a browser
/// takes no answer that chooses none of what it offered.
pub(crate) const BEARER: &str = "bearer";

/// What is answered to who says nothing of himself, and to who says it by a token that is not accepted (RFC 6750 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
const INVALID: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Finds out who has a token: asks a database, checks a signature.
///
/// A closure will do, `|token: String| async move { .. }`; a type of one's own may keep what it needs, and looks up components of the
/// application.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{BearerTokens, TokenVerifier};
///
/// struct User(String);
/// struct Users;
/// # impl Users { async fn owner_of(&self, _: &str) -> Option<String> { None } }
///
/// struct ByDatabase;
///
/// impl TokenVerifier for ByDatabase {
///     type Who = User;
///
///     async fn verify(&self, token: &str, application: &ApplicationContext) -> Result<Principal<User>, Refusal> {
///         let users = application.find::<Users>().ok_or_else(|| Refusal::unauthorized("nobody knows you"))?;
///         let name = users.owner_of(token).await.ok_or_else(|| Refusal::unauthorized("this token is not valid"))?;
///         Ok(Principal::new(User(name.clone())).named(name))
///     }
/// }
///
/// let tokens = BearerTokens::new(ByDatabase);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot verify tokens",
    note = "write `|token: String| async move {{ .. }}`, which makes a `Result<Principal<T>, Refusal>`, or `impl TokenVerifier for {Self}`"
)]
pub trait TokenVerifier: Send + Sync + 'static {
    /// What the application knows of who has a token: the `T` of its `Principal<T>` parameters.
    type Who: Send + Sync + 'static;

    /// Who has this token.
    ///
    /// # Errors
    /// The answer in the place of a socket; a [`Refusal::unauthorized`] gets its `WWW-Authenticate` header by itself. It must not repeat the token.
    fn verify(
        &self,
        token: &str,
        application: &ApplicationContext,
    ) -> impl Future<Output = Result<Principal<Self::Who>, Refusal>> + Send;
}

impl<F, W, T> TokenVerifier for F
where
    F: Fn(String) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Principal<T>, Refusal>> + Send,
    T: Send + Sync + 'static,
{
    type Who = T;

    fn verify(
        &self,
        token: &str,
        _: &ApplicationContext,
    ) -> impl Future<Output = Result<Principal<T>, Refusal>> + Send {
        self(token.to_owned())
    }
}

/// A [`TokenVerifier`] without its type. What it finds out is established in extensions that hold nothing else.
trait AnyVerifier: Send + Sync {
    fn verify<'a>(&'a self, token: &'a str, application: &'a ApplicationContext) -> Verified<'a>;
}

type Verified<'a> = Pin<Box<dyn Future<Output = Result<Extensions, Refusal>> + Send + 'a>>;

impl<V: TokenVerifier> AnyVerifier for V {
    fn verify<'a>(&'a self, token: &'a str, application: &'a ApplicationContext) -> Verified<'a> {
        Box::pin(async move {
            let principal = TokenVerifier::verify(self, token, application).await?;
            let mut established = Extensions::new();
            principal.establish(&mut established);
            Ok(established)
        })
    }
}

/// Bearer tokens: where a request may carry one, and who says whose it is.
///
/// With [`exporter.bearer(..)`](crate::ServerEndpointExporter::bearer) they are in force at every endpoint, and for one endpoint by its
/// configurator: they are a [`Configurator`] themselves, which goes before those of every endpoint, and
/// [`authenticate`](Self::authenticate) is for a configurator that does more.
///
/// A token stands in one of these places; if there is one in several, the first counts:
///
/// 1. `Authorization: Bearer <token>`;
/// 2. `Sec-WebSocket-Protocol: bearer, <token>`, for browsers, whose `new WebSocket(url, ["bearer", token])` can set no header. The token must
///    be made of letters, digits and ``!#$%&'*+-.^_`|~``, as a JWT and base64url without padding are. Further subprotocols may follow; what
///    is agreed on is the endpoint's own choice among them, or else `bearer`, and never the token;
/// 3. a cookie, if [`cookie`](Self::cookie) names one. Browsers send cookies whichever page asks, so the endpoint's `origins` are what
///    protects its users then;
/// 4. a query parameter, if [`query`](Self::query) names one, which is a last resort: URLs are written into logs along the way.
///
/// Whoever brings no token is a stranger, whom an endpoint with `require = ".."` or a `Principal<T>` parameter refuses with 401, and
/// [`required`](Self::required) everywhere. A token that is not accepted is refused with 401 wherever it is brought.
///
/// Tokens are kept nowhere: before anybody else looks at the handshake they are taken out of it, from the headers and from the URI, so
/// that handlers, logs and `Debug` find none. Tower layers, which come first, do see them.
///
/// ```
/// use endpoint_runtime as runtime;
/// use runtime::prelude::*;
/// use runtime::BearerTokens;
///
/// struct User(&'static str);
///
/// let tokens = BearerTokens::new(|token: String| async move {
///     match token.as_str() {
///         "b0" => Ok(Principal::new(User("Bo")).named("bo").role("admin")),
///         _ => Err(Refusal::unauthorized("this token is not valid")),
///     }
/// });
/// let exporter = runtime::export_all().bearer(tokens.cookie("session"));
/// ```
#[derive(Clone)]
pub struct BearerTokens {
    verifier: Arc<dyn AnyVerifier>,
    sources: Arc<Sources>,
    required: bool,
}

impl BearerTokens {
    /// Tokens that stand in `Authorization` or among the subprotocols, and this is who knows them.
    pub fn new(verifier: impl TokenVerifier) -> Self {
        BearerTokens { verifier: Arc::new(verifier), sources: Arc::default(), required: false }
    }

    /// Looks for a token in the cookie of this name too.
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.sources).cookie = Some(name.into());
        self
    }

    /// Looks for a token in the query parameter of this name too.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.sources).query = Some(name.into());
        self
    }

    /// Refuses with 401 whoever brings no token, unless a tower layer has established who it is.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Establishes who has the token of this handshake, in a [`Configurator::check`] that does more than this.
    ///
    /// # Errors
    /// The refusal: the token is not accepted, or there is none and it is [`required`](Self::required).
    pub async fn authenticate(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> Result<(), Refusal> {
        let token = self.take(handshake);
        // So the session finds those who know its tokens.
        handshake.extensions_mut().insert(self.clone());
        self.admit(token, handshake, application).await
    }

    /// Takes the token out of a handshake, wherever it stands.
    pub(crate) fn take(&self, handshake: &mut Handshake) -> Option<String> {
        self.sources.take(handshake)
    }

    /// Establishes who has this token.
    pub(crate) async fn admit(
        &self,
        token: Option<String>,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> Result<(), Refusal> {
        match token {
            Some(token) => {
                let established = self.verify(&token, application).await?;
                handshake.extensions_mut().extend(established);
                Ok(())
            }
            None if self.required && handshake.identity().is_none() => {
                Err(challenged(Refusal::unauthorized("who are you?")))
            }
            None => Ok(()),
        }
    }

    /// Who has this token, established in extensions that hold nothing else.
    pub(crate) async fn verify(
        &self,
        token: &str,
        application: &ApplicationContext,
    ) -> Result<Extensions, Refusal> {
        if token.is_empty() {
            return Err(challenged_with(Refusal::unauthorized("the token is empty"), INVALID));
        }
        let verified = self.verifier.verify(token, application).await;
        verified.map_err(|refusal| challenged_with(refusal, INVALID))
    }

    /// Those who know the tokens of a handshake or session: the endpoint's own, or those of the application.
    pub(crate) fn of(handshake: &Handshake, application: &ApplicationContext) -> Option<Self> {
        let own = handshake.extensions().get::<Self>().cloned();
        own.or_else(|| application.find::<Self>().map(Arc::unwrap_or_clone))
    }
}

/// A refusal with 401 must say how one says who one is (RFC 9110 15.5.2).
pub(crate) fn challenged(refusal: Refusal) -> Refusal {
    challenged_with(refusal, CHALLENGE)
}

fn challenged_with(refusal: Refusal, challenge: HeaderValue) -> Refusal {
    if refusal.status() != StatusCode::UNAUTHORIZED || refusal.has_header(&WWW_AUTHENTICATE) {
        return refusal;
    }
    refusal.header(WWW_AUTHENTICATE, challenge)
}

impl Session {
    /// Refreshes who the peer is by a new token, which those verify who verify the tokens of its endpoint's handshakes: see
    /// [`BearerTokens`]. So a peer goes on with a session that would expire, and a stranger signs in.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[server_endpoint("/feed")]
    /// struct Feed;
    ///
    /// #[handlers]
    /// impl Feed {
    ///     #[on_message]
    ///     async fn token(&self, token: String, session: &Session) -> Result<()> {
    ///         session.authorize(&token).await
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden): the token is not accepted, is another user's than the session is by now, or gives none of the
    /// roles that the endpoint requires; its user has too many sessions already
    /// ([`max_connections_per_principal`](crate::Settings::max_connections_per_principal)); or there are no
    /// [`BearerTokens`] here. The session stays as it was.
    pub async fn authorize(&self, token: &str) -> Result<()> {
        let tokens = BearerTokens::of(self.handshake(), self.application())
            .ok_or_else(|| Forbidden::because("no tokens are accepted here"))?;
        let established = tokens.verify(token, self.application()).await.map_err(Forbidden::refused)?;
        self.sign_in(established)
    }
}

/// For an endpoint with tokens of its own.
impl Configurator for BearerTokens {
    fn check(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        self.authenticate(handshake, application)
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerTokens")
            .field("cookie", &self.sources.cookie)
            .field("query", &self.sources.query)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
