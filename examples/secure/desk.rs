//! The desk: who there is, and the tokens that it has given out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use endpoint_runtime::TokenVerifier;
use endpoint_runtime::prelude::*;

/// How long a token holds: short, to see what becomes of it.
pub(crate) const HOLDS: Duration = Duration::from_secs(30);

/// Somebody who may sign in.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    /// For a demonstration. In earnest it would be a hash, made by Argon2 or the like.
    password: &'static str,
    roles: &'static [&'static str],
}

static ACCOUNTS: [Account; 2] = [
    Account { name: "ann", password: "look", roles: &["viewer"] },
    Account { name: "bo", password: "paint", roles: &["viewer", "painter"] },
];

/// Gives out tokens, and knows them again.
#[derive(Default)]
pub(crate) struct Desk {
    given: Mutex<HashMap<String, Given>>,
}

#[derive(Clone, Copy)]
struct Given {
    to: &'static Account,
    until: SystemTime,
}

impl Desk {
    /// A token for who knows the password.
    pub(crate) fn sign_in(&self, name: &str, password: &str) -> Option<String> {
        let knows = |account: &Account| account.name == name && account.password == password;
        Some(self.give(ACCOUNTS.iter().find(|account| knows(account))?))
    }

    /// A new token for who has one.
    pub(crate) fn renew(&self, token: &str) -> Option<String> {
        let given = self.look_up(token)?;
        Some(self.give(given.to))
    }

    /// Takes back all tokens of who has this one, and says who that is.
    pub(crate) fn sign_out(&self, token: &str) -> Option<&'static str> {
        let out = self.look_up(token)?;
        self.given().retain(|_, given| given.to.name != out.to.name);
        Some(out.to.name)
    }

    fn give(&self, to: &'static Account) -> String {
        let token = format!("{:032x}", rand::random::<u128>());
        let now = SystemTime::now();
        let mut given = self.given();
        given.retain(|_, given| given.until > now);
        given.insert(token.clone(), Given { to, until: now + HOLDS });
        token
    }

    fn look_up(&self, token: &str) -> Option<Given> {
        self.given().get(token).copied().filter(|given| given.until > SystemTime::now())
    }

    fn given(&self) -> MutexGuard<'_, HashMap<String, Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the desk, a component, whose token it is.
pub(crate) struct ByDesk;

impl TokenVerifier for ByDesk {
    type Who = &'static Account;

    async fn verify(
        &self,
        token: &str,
        application: &ApplicationContext,
    ) -> Result<Principal<Self::Who>, Refusal> {
        let desk: Option<Arc<Desk>> = application.find();
        let given = desk.and_then(|desk| desk.look_up(token));
        let given = given.ok_or_else(|| Refusal::unauthorized("this token is not valid: sign in"))?;
        let principal = Principal::new(given.to).named(given.to.name).expires_at(given.until);
        Ok(given.to.roles.iter().fold(principal, |principal, role| principal.role(*role)))
    }
}
