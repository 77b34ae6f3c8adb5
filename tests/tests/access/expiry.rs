//! The end of an authorization: 1008, unless it was refreshed in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{ClosedBy, Forbidden};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{Heard, Told, User, app, authorization, diary, token};

const EXPIRED: &str = "the session's authorization has expired";

#[server_endpoint("/feed", ping_interval = "off")]
struct Feed {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Option<Arc<Semaphore>>,
}

#[handlers]
impl Feed {
    #[on_message]
    async fn text(&self, text: String, session: &Session) -> Result<Option<String>> {
        let ann = || Principal::new(User("ann".to_owned())).named("ann");
        match text.as_str() {
            "wait" => {
                self.told.tell("waiting");
                if let Some(gate) = &self.gate {
                    gate.acquire().await?.forget();
                }
                self.told.tell("waited");
                return Ok(None);
            }
            "forever" => session.refresh(ann()),
            text => match text.parse() {
                Ok(seconds) => {
                    session.refresh(ann().expires_at(SystemTime::now() + Duration::from_secs(seconds)));
                }
                Err(_) => session.authorize(text).await?,
            },
        }
        Ok(Some("refreshed".to_owned()))
    }

    #[on_message]
    fn bytes(&self, _bytes: Bytes, who: Option<Principal<User>>, session: &Session) -> String {
        let expires = session.identity().and_then(|identity| identity.expires()).is_some();
        who.map_or_else(|| "stranger".to_owned(), |who| format!("{} {expires}", who.0))
    }

    #[on_error]
    fn forbidden(&self, error: &Forbidden) -> String {
        error.to_string()
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format_args!("{reason} {:?}", reason.closed_by()));
    }
}

async fn start() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (app::<Feed>().provide(told).start().await, heard)
}

async fn connect(app: &RunningApp, who: &str) -> Peer {
    app.connect("/feed").header("authorization", &authorization(who)).await.unwrap()
}

/// What the session says of its peer.
async fn who(peer: &mut Peer) -> String {
    peer.send(&b""[..]).await.unwrap();
    peer.text().await
}

/// Waits for the end, and says after how many seconds it came.
async fn closed_after(peer: &mut Peer, since: Instant) -> (CloseReason, u64) {
    let reason = peer.closed().await;
    (reason, since.elapsed().as_secs_f64().round() as u64)
}

/// EE-05: 1008 at once when the authorization has expired, on both sides, however silent the session is.
#[tokio::test(start_paused = true)]
async fn an_expired_session_is_closed_with_1008() {
    let (app, mut heard) = start().await;
    let start = Instant::now();
    let (mut bo, mut ann) = (connect(&app, "bo.100").await, connect(&app, "ann").await);
    assert_eq!(who(&mut bo).await, "bo true");
    assert_eq!(who(&mut ann).await, "ann false");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (reason, after) = closed_after(&mut bo, start).await;
    assert_eq!((reason.code(), reason.text(), after), (CloseCode::Policy, EXPIRED, 100));
    assert_eq!(heard.next().await, format!("1008 {EXPIRED} {:?}", ClosedBy::Container));
    assert_eq!(who(&mut ann).await, "ann false");
    assert_eq!((app.sessions().count(), app.sessions().user("bo").count()), (1, 0));
}

/// Each refresh sets the time anew: later, earlier, for ever.
#[tokio::test(start_paused = true)]
async fn a_session_is_refreshed_in_place() {
    let (app, mut heard) = start().await;
    let start = Instant::now();
    let mut peer = connect(&app, "bo.100").await;
    let id = app.sessions().all().iter().next().unwrap().id().to_owned();
    for (say, expected) in [
        (token("bo.300"), "bo true"),
        ("forever".to_owned(), "ann false"),
        ("200".to_owned(), "ann true"),
        (token("ann.50"), "ann true"),
    ] {
        peer.send(say).await.unwrap();
        assert_eq!(peer.text().await, "refreshed");
        assert_eq!(who(&mut peer).await, expected);
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    assert!(app.sessions().get(&id).is_some());
    let (reason, after) = closed_after(&mut peer, start).await;
    assert_eq!((reason.code(), after), (CloseCode::Policy, 3 * 40 + 50));
    assert_eq!(heard.so_far(), [format!("1008 {EXPIRED} Container")]);
}

/// A token that is not accepted changes nothing: the session lives as long as it would have.
#[tokio::test(start_paused = true)]
async fn a_session_is_not_refreshed_by_any_token() {
    let (app, _heard) = start().await;
    let start = Instant::now();
    let mut peer = connect(&app, "bo.50").await;
    for (token, answer) in [
        ("x".to_owned(), "this token is not valid"),
        (String::new(), "the token is empty"),
        (token("ann"), "this is somebody else's token"),
        (token("bo.0"), "this token has expired"),
    ] {
        peer.send(token).await.unwrap();
        assert_eq!(peer.text().await, answer);
        assert_eq!(who(&mut peer).await, "bo true");
    }
    assert_eq!(closed_after(&mut peer, start).await.1, 50);
}

/// A stranger may sign in later, and is then as if it always had been there.
#[tokio::test(start_paused = true)]
async fn a_stranger_signs_in() {
    let (app, _heard) = start().await;
    let start = Instant::now();
    let mut peer = app.connect("/feed").await.unwrap();
    assert_eq!(who(&mut peer).await, "stranger");
    assert_eq!(app.sessions().user("bo").count(), 0);
    peer.send(token("bo.50")).await.unwrap();
    assert_eq!(peer.text().await, "refreshed");
    assert_eq!(app.sessions().user("bo").count(), 1);
    let session = app.sessions().all().iter().next().unwrap();
    assert_eq!(session.principal::<User>().map(|user| user.0.clone()).as_deref(), Some("bo"));
    assert!(session.handshake().principal::<User>().is_none(), "that says who it was when it connected");
    assert_eq!(closed_after(&mut peer, start).await.1, 50);
    assert!(session.identity().is_some(), "a closed session can still be asked");
}

/// A handler that is busy is no reprieve, and may finish.
#[tokio::test(start_paused = true)]
async fn a_busy_session_expires_too() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Semaphore::new(0));
    let app = app::<Feed>().provide(told).provide_shared(Arc::clone(&gate)).start().await;
    let start = Instant::now();
    let mut peer = connect(&app, "bo.50").await;
    peer.send("wait").await.unwrap();
    assert_eq!(heard.next().await, "waiting");
    // What comes later is not looked at before.
    peer.send("forever").await.unwrap();
    let (reason, after) = closed_after(&mut peer, start).await;
    assert_eq!((reason.code(), after), (CloseCode::Policy, 50));
    gate.add_permits(1);
    assert_eq!(heard.next().await, "waited");
    assert_eq!(heard.next().await, format!("1008 {EXPIRED} Container"));
}

/// What was sent before goes first.
#[tokio::test(start_paused = true)]
async fn what_is_queued_goes_before_the_end() {
    let (app, _heard) = start().await;
    let mut peer = connect(&app, "bo.1").await;
    let session = app.sessions().user("bo").iter().next().unwrap();
    session.refresh(Principal::new(User("bo".to_owned())).expires_at(SystemTime::now()));
    session.send("last").await.unwrap();
    assert_eq!(peer.text().await, "last");
    assert_eq!(peer.closed().await.code(), CloseCode::Policy);
}
