//! The application's own settings, from files, environments and programs.
