/// Keeps who is who.
impl Users {
    /// Not the constructor: stays as it is.
    fn helper(&self) {}
    async fn new(db: Arc<Db>, size: usize, log: Arc<dyn Log>) -> Result<Self> {
        Ok(Users {
            db,
            cache: Cache::with_capacity(size),
            log,
        })
    }
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ComponentDeclared for Users {
    type Component = Self;
    fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
        <Arc<
            Db,
        > as ::endpoint_runtime::__private::InjectedField>::needs(
            __needs,
            "db",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        );
        <usize as ::endpoint_runtime::__private::ValueField>::needs(
            __needs,
            "size",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "users.cache",
            false,
        );
        <Arc<
            dyn Log,
        > as ::endpoint_runtime::__private::NamedField>::needs(
            __needs,
            "log",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
            "audit",
        );
    }
    async fn make(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<
        ::endpoint_runtime::__private::Arc<Self>,
    > {
        let db = <Arc<
            Db,
        > as ::endpoint_runtime::__private::InjectedField>::inject(__context)?;
        let size = <usize as ::endpoint_runtime::__private::ValueField>::value(
            __context,
            "users.cache",
        )?;
        let log = <Arc<
            dyn Log,
        > as ::endpoint_runtime::__private::NamedField>::inject(__context, "audit")?;
        <Result<
            Users,
        > as ::endpoint_runtime::__private::Made<
            Users,
        >>::made(Users::new(db, size, log).await)
    }
    fn config() -> ::endpoint_runtime::__private::ComponentConfig {
        let config = ::endpoint_runtime::__private::ComponentConfig::declared::<
            Self,
        >(
            "Users",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        );
        let roles = ::endpoint_runtime::__private::Roles::<Self>::of_type();
        roles.if_observer(roles.if_aware(roles.if_lifecycle(config)))
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::ComponentRegistration::new(< Users as
        ::endpoint_runtime::__private::ComponentDeclared > ::config)
    }
};
#[cfg(feature = "db")]
async fn database(config: Arc<DbConfig>) -> io::Result<Arc<dyn Store>> {
    Db::connect(&config.url).await
}
#[cfg(feature = "db")]
const _: () = {
    struct __Provider;
    #[automatically_derived]
    impl ::endpoint_runtime::__private::ComponentDeclared for __Provider {
        type Component = dyn Store;
        fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
            <Arc<
                DbConfig,
            > as ::endpoint_runtime::__private::InjectedField>::needs(
                __needs,
                "config",
                ::endpoint_runtime::__private::Place::new(
                    ::core::file!(),
                    ::core::line!(),
                ),
            );
        }
        async fn make(
            __context: &::endpoint_runtime::__private::ApplicationContext,
        ) -> ::endpoint_runtime::__private::Result<
            ::endpoint_runtime::__private::Arc<dyn Store>,
        > {
            let config = <Arc<
                DbConfig,
            > as ::endpoint_runtime::__private::InjectedField>::inject(__context)?;
            <io::Result<
                Arc<dyn Store>,
            > as ::endpoint_runtime::__private::Made<
                dyn Store,
            >>::made(database(config).await)
        }
        fn config() -> ::endpoint_runtime::__private::ComponentConfig {
            let config = ::endpoint_runtime::__private::ComponentConfig::declared::<
                Self,
            >(
                    "dyn Store",
                    ::core::env!("CARGO_PKG_NAME"),
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                )
                .named("replica");
            let roles = ::endpoint_runtime::__private::Roles::<dyn Store>::of_type();
            roles.if_observer(roles.if_aware(roles.if_lifecycle(config)))
        }
    }
    const _: () = {
        ::endpoint_runtime::__private::submit! {
            ::endpoint_runtime::__private::ComponentRegistration::new(< __Provider as
            ::endpoint_runtime::__private::ComponentDeclared > ::config)
        }
    };
};
fn clock() -> Clock {
    Clock::default()
}
const _: () = {
    struct __Provider;
    #[automatically_derived]
    impl ::endpoint_runtime::__private::ComponentDeclared for __Provider {
        type Component = Clock;
        async fn make(
            __context: &::endpoint_runtime::__private::ApplicationContext,
        ) -> ::endpoint_runtime::__private::Result<
            ::endpoint_runtime::__private::Arc<Clock>,
        > {
            <Clock as ::endpoint_runtime::__private::Made<Clock>>::made(clock())
        }
        fn config() -> ::endpoint_runtime::__private::ComponentConfig {
            let config = ::endpoint_runtime::__private::ComponentConfig::declared::<
                Self,
            >(
                "Clock",
                ::core::env!("CARGO_PKG_NAME"),
                ::endpoint_runtime::__private::Place::new(
                    ::core::file!(),
                    ::core::line!(),
                ),
            );
            let roles = ::endpoint_runtime::__private::Roles::<Clock>::of_type();
            roles.if_observer(roles.if_aware(roles.if_lifecycle(config)))
        }
    }
    const _: () = {
        ::endpoint_runtime::__private::submit! {
            ::endpoint_runtime::__private::ComponentRegistration::new(< __Provider as
            ::endpoint_runtime::__private::ComponentDeclared > ::config)
        }
    };
    const _: () = {
        use ::endpoint_runtime::__private::NoResult as _;
        ::endpoint_runtime::__private::is_whole(
            ::endpoint_runtime::__private::Returned::<Clock>::IS_RESULT,
        )
    };
};
