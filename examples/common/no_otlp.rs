//! The error of a build without the feature `otlp` that is given an address for spans.

use tracing_subscriber::layer::Identity;

use super::screen::tell;

/// Sends nothing.
pub(crate) struct Otlp;

/// Starts nothing, and says so where somebody expects it.
pub(crate) fn start(program: &str) -> Option<(Otlp, Identity)> {
    let names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    let is_given = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some(name) = names.into_iter().find(is_given) {
        tell(&format!(
            "the variable {name} is passed over: this {program} was compiled without the feature `otlp`"
        ));
    }
    None
}
