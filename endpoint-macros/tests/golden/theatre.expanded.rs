struct Theatre {
    db: Arc<Db>,
    log: Arc<dyn Log>,
    seats: usize,
    sold: Mutex<Vec<u32>>,
    evenings: AtomicU64,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ComponentDeclared for Theatre {
    type Component = Self;
    fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
        <Arc<
            Db,
        > as ::endpoint_runtime::__private::InjectedField>::needs(
            __needs,
            "db",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        );
        <Arc<
            dyn Log,
        > as ::endpoint_runtime::__private::NamedField>::needs(
            __needs,
            "log",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "audit",
        );
        <usize as ::endpoint_runtime::__private::ValueField>::needs(
            __needs,
            "seats",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "theatre.seats",
            true,
        );
    }
    async fn make(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<
        ::endpoint_runtime::__private::Arc<Self>,
    > {
        ::core::result::Result::Ok(
            ::endpoint_runtime::__private::Arc::new(Self {
                db: <Arc<
                    Db,
                > as ::endpoint_runtime::__private::InjectedField>::inject(__context)?,
                log: <Arc<
                    dyn Log,
                > as ::endpoint_runtime::__private::NamedField>::inject(
                    __context,
                    "audit",
                )?,
                seats: ::core::option::Option::unwrap_or_else(
                    <usize as ::endpoint_runtime::__private::ValueField>::value_if_set(
                        __context,
                        "theatre.seats",
                    )?,
                    || 10 * ROWS,
                ),
                sold: Mutex::new(Vec::new()),
                evenings: <AtomicU64 as ::endpoint_runtime::__private::InitialField>::initial(),
            }),
        )
    }
    fn config() -> ::endpoint_runtime::__private::ComponentConfig {
        let config = ::endpoint_runtime::__private::ComponentConfig::declared::<
            Self,
        >(
                "Theatre",
                ::core::env!("CARGO_PKG_NAME"),
                ::endpoint_runtime::__private::Place::new(
                    ::core::file!(),
                    ::core::line!(),
                ),
            )
            .named("main")
            .provides::<Self, dyn Audit>(|component| component)
            .lazy();
        let roles = ::endpoint_runtime::__private::Roles::<Self>::of_type();
        roles.if_observer(roles.if_aware(roles.if_lifecycle(config)))
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::ComponentRegistration::new(< Theatre as
        ::endpoint_runtime::__private::ComponentDeclared > ::config)
    }
};
struct Program {
    theatre: Arc<Theatre>,
    title: String,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Program {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
            "/program",
            "Program",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        )
        .resume(120000u64);
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for Program {
    fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
        <Arc<
            Theatre,
        > as ::endpoint_runtime::__private::NamedField>::needs(
            __needs,
            "theatre",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "main",
        );
        <String as ::endpoint_runtime::__private::ValueField>::needs(
            __needs,
            "title",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "theatre.title",
            false,
        );
    }
    fn create(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {
            theatre: <Arc<
                Theatre,
            > as ::endpoint_runtime::__private::NamedField>::inject(__context, "main")?,
            title: <String as ::endpoint_runtime::__private::ValueField>::value(
                __context,
                "theatre.title",
            )?,
        })
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::Registration::of:: < Program > ()
    }
};
