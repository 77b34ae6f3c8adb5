//! [`Object`]: a value on its way to an encoder, or to the form that the runtime has for its type.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use super::{Bytes, EncodeError, IntoMessage, Message, Text};

/// A value of any type, to be sent by an encoder.
pub struct Object {
    value: Box<dyn Any + Send + Sync>,
    type_name: &'static str,
}

impl Object {
    /// Holds `value`.
    pub(crate) fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Object { value: Box::new(value), type_name: type_name::<T>() }
    }

    /// Which type it is of.
    pub(crate) fn of_type(&self) -> TypeId {
        (*self.value).type_id()
    }

    /// The name of its type, for people.
    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn as_any(&self) -> &(dyn Any + Send + Sync) {
        &*self.value
    }

    /// The message in the form that the runtime has for its type, if it has one (Jakarta CD-14).
    pub(crate) fn into_built_in(self) -> Option<Result<Message, EncodeError>> {
        let value = self.value;
        macro_rules! built_in {
            ($($ty:ty),*) => {
                $(let value = match value.downcast::<$ty>() {
                    Ok(value) => return Some((*value).into_message()),
                    Err(value) => value,
                };)*
                drop(value);
            };
        }
        built_in!(
            String,
            Text,
            Bytes,
            Vec<u8>,
            Message,
            &'static str,
            &'static [u8],
            char,
            bool,
            u8,
            u16,
            u32,
            u64,
            u128,
            usize,
            i8,
            i16,
            i32,
            i64,
            i128,
            isize,
            f32,
            f64
        );
        None
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.type_name)
    }
}
