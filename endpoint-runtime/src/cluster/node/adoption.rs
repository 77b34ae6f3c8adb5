//! What is said of rooms while the node runs, by endpoints that are deployed later: it holds for all rooms, also for those that have members.

use std::sync::PoisonError;

use super::super::Channel;
use super::super::rules::{Rule, RuleFault};
use super::Node;
use crate::context::ApplicationContext;
use crate::session::{Audience, GroupKey, Target};

impl Node {
    /// What is wrong with a rule, beside those that hold already, and for this engine.
    pub(crate) fn faults_of(&self, rule: &Rule) -> Vec<RuleFault> {
        let mut faults = self.rules.faults_of(rule);
        faults.extend(rule.unable(&*self.engine));
        faults
    }

    /// From now on a rule holds in which there is no fault. It stays when its endpoint goes: its rooms may outlive it.
    pub(crate) fn adopt(&self, rule: Rule, context: &ApplicationContext) {
        let _turn = self.adopting.lock().unwrap_or_else(PoisonError::into_inner);
        let (recovers, notes) = (rule.rooms.keep.is_some(), rule.rooms.presence);
        let matches = {
            let rule = rule.clone();
            move |room: &str| rule.matches(room)
        };
        // Before anything is appended to them, and then those that have begun meanwhile.
        if recovers {
            self.open_feeds(&matches);
        }
        if !self.rules.add(rule) {
            return;
        }
        if recovers {
            self.open_feeds(&matches);
        }
        if notes {
            self.begin_presence(context);
            self.note_members(&matches);
        }
    }

    /// Rooms that have members become recoverable.
    fn open_feeds(&self, matches: impl Fn(&str) -> bool) {
        let (Some(feeds), Some(sessions)) = (self.feeds(), self.sessions.upgrade()) else { return };
        for key in sessions.rooms_here() {
            let GroupKey::Room(room) = &key else { continue };
            if matches(room) && !feeds.knows(room) {
                feeds.open(room);
                let channel = Channel::room(room);
                if self.subscriptions.holds(&channel) {
                    feeds.began(&channel);
                }
            }
        }
    }

    /// Rooms that have members get presence.
    fn note_members(&self, matches: impl Fn(&str) -> bool) {
        let (Some(presences), Some(sessions)) = (self.present(), self.sessions.upgrade()) else { return };
        for key in sessions.rooms_here() {
            let GroupKey::Room(room) = &key else { continue };
            if matches(room) {
                let members = Audience::new(sessions.clone(), Target::Group(key.clone())).local();
                members.iter().for_each(|member| presences.joined(room, *member.id()));
            }
        }
    }
}
