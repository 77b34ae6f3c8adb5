//! Pages beside the guide: for those who know Jakarta WebSocket or Spring, and for those who count bytes.

pub mod from_java {
    #![doc = include_str!("../docs/from-java.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}

pub mod jakarta {
    #![doc = include_str!("../docs/jakarta.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}

pub mod memory {
    #![doc = include_str!("../docs/memory.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}
