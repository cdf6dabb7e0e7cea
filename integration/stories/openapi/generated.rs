//! What others make of the description: a validator, a generator of clients, and a client that was generated.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::program::Process;

const LIMIT: Duration = Duration::from_secs(120);

#[actix::test]
async fn a_generated_client_talks_to_the_chat() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/generated");
    assert!(
        here.join("node_modules/typescript").exists(),
        "the generator of clients is missing: run ./integration/run once, which installs it"
    );
    let cluster = Cluster::start(1).await;
    let said = cluster.folder.path().join("said");
    let log = File::create(&said).unwrap();
    let mut command = Command::new("node");
    command.arg("story.mjs").arg(cluster.folder.path()).args(cluster.urls()).current_dir(here);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let status = Process(command.spawn().unwrap()).ended(LIMIT).await;
    let said = std::fs::read_to_string(said).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{said}\n{}", cluster.log_tails());
}
