//! What stands for the compressor and the inflater in a program that is built without them: nothing ever compresses or inflates.

use super::{Corrupt, Window};

/// There is none.
#[derive(Debug)]
pub(in super::super) enum Inflater {}

impl Inflater {
    pub(in super::super) fn borrow(_: Window) -> Option<Box<Self>> {
        None
    }

    #[expect(clippy::boxed_local, reason = "as the one that inflates has it")]
    pub(in super::super) fn rest(self: Box<Self>) -> Option<Box<Self>> {
        match *self {}
    }

    pub(in super::super) fn inflate(&mut self, _: &[u8], _: &mut [u8]) -> Result<(usize, usize), Corrupt> {
        match *self {}
    }

    pub(in super::super) fn finish(&mut self) -> Result<(), Corrupt> {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Deflater {}

impl Deflater {
    pub(crate) fn new(_: Window) -> Option<Self> {
        None
    }

    pub(crate) fn window(&self) -> Window {
        match *self {}
    }

    pub(crate) fn message<T>(&mut self, _: &[u8], _: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match *self {}
    }

    pub(crate) fn fragment<T>(&mut self, _: &[u8], _: bool, _: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match *self {}
    }
}
