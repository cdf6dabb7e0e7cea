//! One node, started and stopped. NOT BUILT IN THIS BRANCH: the module that wires a node takes this place.

use crate::settings::Settings;

/// Runs a node until it is told to stop.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    anyhow::bail!("{} cannot be started: serve is not built in this branch", settings.node.name)
}
