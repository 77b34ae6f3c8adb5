//! Pages beside the guide: for those who know Jakarta WebSocket or Spring, for those who write clients, and for those who count bytes.

pub mod cluster {
    #![doc = include_str!("../docs/cluster.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}

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

pub mod wire {
    #![doc = include_str!("../docs/wire.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}

pub mod memory {
    #![doc = include_str!("../docs/memory.md")]

    #[allow(unused_imports)] // For the links.
    use crate::*;
}
