//! Who is in a room, as the application sees it.

mod nodes;

use std::time::Duration;

use endpoint_runtime::cluster::{ClusterError, Local, PresentMember};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::App;

#[server_endpoint("/lobby/{user}")]
struct Lobby;

#[handlers]
impl Lobby {
    #[on_open]
    fn open(&self, session: &Session, #[path] user: String) -> &'static str {
        session.set_user(&user);
        session.join("lobby");
        "open"
    }
}

fn app() -> App {
    endpoint_runtime::test::app().only::<Lobby>()
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_it_is_who_is_here() {
    let app = app().start().await;
    let mut peers = Vec::new();
    for user in ["ann", "bo", "cy"] {
        let mut peer = app.connect(&format!("/lobby/{user}")).await.unwrap();
        assert_eq!(peer.text().await, "open");
        peers.push(peer);
    }
    let lobby = app.sessions().room("lobby");
    let names = |members: &[PresentMember]| -> Vec<String> {
        members.iter().map(|member| member.user.clone().unwrap()).collect()
    };
    let first = lobby.present(None, 2).await.unwrap();
    assert_eq!((first.count, names(&first.members)), (3, vec!["ann".into(), "bo".into()]));
    assert_eq!(first.next, Some(first.members[1].id));
    let second = lobby.present(first.next, 2).await.unwrap();
    assert_eq!((second.count, names(&second.members), second.next), (3, vec!["cy".into()], None));
    let all = lobby.present(None, 3).await.unwrap();
    assert_eq!((all.members.len(), all.next), (3, None));
    assert_eq!(app.sessions().room("nobody").present(None, 10).await.unwrap().count, 0);
    peers.pop().unwrap().close(CloseCode::Normal, "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(lobby.present(None, 10).await.unwrap().count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_room_without_presence_has_none_but_here() {
    let app = app().with(|exporter| exporter.cluster(Local::new())).start().await;
    let mut peer = app.connect("/lobby/ann").await.unwrap();
    assert_eq!(peer.text().await, "open");
    let lobby = app.sessions().room("lobby");
    assert!(matches!(lobby.present(None, 10).await, Err(ClusterError::Unsupported(_))));
    assert_eq!(lobby.local().present(None, 10).await.unwrap().count, 1);
}
