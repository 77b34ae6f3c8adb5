//! Every form in which a component is declared.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use endpoint_runtime::prelude::*;

use crate::support::{Journal, started};

/// A struct whose fields say all.
#[component]
pub(crate) struct Theatre {
    #[inject]
    journal: Arc<Journal>,
    #[value("theatre.stage")]
    pub(crate) stage: String,
    #[init(vec![1, 2, 3])]
    seats: Vec<u32>,
    evenings: AtomicU32,
}

impl Theatre {
    pub(crate) fn open(&self) -> u32 {
        self.journal.write("the theatre opens");
        self.evenings.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[component]
struct Tuple(#[inject] Arc<Theatre>, #[value("tuple.size", default = SIZE)] usize, Option<u8>);

const SIZE: usize = 4;

#[component]
struct Unit;

/// A constructor that waits, for a type of which it needs another.
struct Troupe {
    theatre: Arc<Theatre>,
    size: usize,
}

#[component]
impl Troupe {
    const SMALLEST: usize = 2;

    #[constructor]
    async fn gather(
        theatre: Arc<Theatre>,
        #[value("troupe.size", default = Self::SMALLEST)] size: usize,
        journal: Arc<Journal>,
    ) -> Result<Self> {
        tokio::task::yield_now().await;
        journal.write("the troupe has gathered");
        Ok(Troupe { theatre, size })
    }
}

/// An enum, by a constructor that cannot fail.
#[derive(Debug, PartialEq, Eq)]
enum Season {
    Winter,
}

#[component]
impl Season {
    #[constructor]
    fn now(_troupe: Arc<Troupe>) -> Self {
        Season::Winter
    }
}

/// Shared from the start, with an error of its own.
struct Poster(&'static str);

#[component]
impl Poster {
    #[constructor]
    fn print() -> Result<Arc<Self>, io::Error> {
        Ok(Arc::new(Poster("tonight")))
    }
}

/// Types that are not ours.
#[provider]
fn prices() -> Vec<u8> {
    vec![7, 9]
}

#[provider]
async fn price_of_all(prices: Arc<Vec<u8>>) -> Result<u64, std::num::TryFromIntError> {
    tokio::task::yield_now().await;
    Ok(prices.iter().copied().map(u64::from).sum())
}

pub(crate) trait Critic: Send + Sync {
    fn verdict(&self) -> String;
}

struct Harsh(Arc<u64>);

impl Critic for Harsh {
    fn verdict(&self) -> String {
        format!("not worth {}", self.0)
    }
}

/// A trait, and nobody hears of the type.
#[provider]
fn critic(price: Arc<u64>) -> Arc<dyn Critic> {
    Arc::new(Harsh(price))
}

#[tokio::test(start_paused = true)]
async fn a_struct_is_filled() {
    let (journal, app) = started().await;
    let theatre = app.context().get::<Theatre>().unwrap();
    assert_eq!((theatre.stage.as_str(), &theatre.seats[..], theatre.open()), ("large", &[1, 2, 3][..], 1));
    assert!(journal.has("the theatre opens"));

    let tuple = app.context().get::<Tuple>().unwrap();
    assert!(Arc::ptr_eq(&tuple.0, &theatre), "there is one of each");
    assert_eq!((tuple.1, tuple.2), (4, None));
    assert!(app.context().find::<Unit>().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_constructor_is_called_with_what_it_asks_for() {
    let (journal, app) = started().await;
    let troupe = app.context().get::<Troupe>().unwrap();
    assert!(Arc::ptr_eq(&troupe.theatre, &app.context().get().unwrap()));
    assert_eq!(troupe.size, 2);
    journal.places(["the troupe has gathered"]);
    assert_eq!(*app.context().get::<Season>().unwrap(), Season::Winter);
    assert_eq!(app.context().get::<Poster>().unwrap().0, "tonight");
}

#[tokio::test(start_paused = true)]
async fn a_provider_makes_what_is_not_ours() {
    let (_, app) = started().await;
    assert_eq!(*app.context().get::<Vec<u8>>().unwrap(), [7, 9]);
    assert_eq!(*app.context().get::<u64>().unwrap(), 16);
    assert_eq!(app.context().get::<dyn Critic>().unwrap().verdict(), "not worth 16");
    // The functions are still functions.
    assert_eq!(critic(Arc::new(prices().len() as u64)).verdict(), "not worth 2");
}
