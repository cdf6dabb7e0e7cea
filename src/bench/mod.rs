//! `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArguments {}
pub fn run(_: &BenchArguments) -> anyhow::Result<()> {
    anyhow::bail!("later")
}
