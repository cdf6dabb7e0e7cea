//! The program: what was asked for on the command line, and how it ended.
//!
//! - `settings`: what a node is told from outside.
//! - `serve`: one node, started and stopped.
//! - `wiring`: a node's actors, and who has a port to whom.
//! - `founding`: how the listed members become one chat.
//! - `succession`: whether another cluster came in the place of this node's.
//! - `departure`: how a running node hears that it is part of its chat no more.
//! - `copies`: `backup`, `restore`, `recover`, `check`: the commands on a node's file.
//! - `portable`: `export`, `import`: the chat as lines of JSON.
//! - `edge`: the doors: HTTP for people and for the other nodes.
//! - `demo`: a cluster on this machine, as child processes.
//! - `members`: who is in the cluster, and who leads it.
//! - `admin`: makes somebody an admin.
//! - `status`: the cluster as one node sees it.
//! - `bench`: load over the real WebSocket endpoint.
//! - `chat`: the terminal client.
//! - `children`, `local_cluster`: the child processes of `demo` and `bench`, their files and ports.
//! - `node_client`, `web_socket`: HTTP and WebSockets to a node, for the commands that speak to one.
//! - `logs`, `signals`, `terminal`, `open_files`, `failure`: small matters between us and the system.

#![allow(
    clippy::disallowed_methods,
    reason = "the program is the edge of the world: clocks and dice come in here"
)]

mod admin;
mod bench;
mod chat;
mod children;
mod copies;
mod demo;
mod departure;
mod edge;
mod failure;
mod founding;
mod local_cluster;
mod logs;
mod members;
mod node_client;
mod open_files;
mod portable;
mod serve;
mod settings;
mod signals;
mod status;
mod succession;
mod terminal;
mod web_socket;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::stat::{Mode, umask};

use crate::settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Self-hosted team chat that survives the loss of its servers.
#[derive(Debug, Parser)]
#[command(name = "replicated-chat", version, propagate_version = true, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a cluster on this machine, to try things out
    Demo(demo::DemoArguments),
    /// Start one node
    Serve {
        /// The node's settings; default.toml in the same folder is read first
        #[arg(value_name = "SETTINGS.toml")]
        settings: PathBuf,
        /// Stop when standard input ends: the node of a parent that is gone goes too
        #[arg(long, hide = true)]
        stop_with_stdin: bool,
    },
    /// Show the cluster as one node sees it
    Status(status::StatusArguments),
    /// Copy the chat from a running node into a file
    Backup(copies::BackupArguments),
    /// Make a new chat from a copy, on a stopped node with an empty data_dir
    Restore(copies::RestoreArguments),
    /// Write what is in the chat, or what one user may see, as lines of JSON
    Export(portable::ExportArguments),
    /// Bring such lines, or Mattermost's bulk export, into a running cluster
    Import(portable::ImportArguments),
    /// Change who is in the cluster
    Members(members::MembersArguments),
    /// Move leadership to another node
    TransferLeader(members::TransferArguments),
    /// Make somebody an admin of the chat
    Admin(admin::AdminArguments),
    /// Check the file of a stopped node
    Check(copies::CheckArguments),
    /// Make a new one-node cluster from the one survivor of a lost majority
    Recover(copies::RecoverArguments),
    /// Measure a cluster under load
    Bench(bench::BenchArguments),
    /// Talk, in the terminal or from a script
    Chat(chat::ChatArguments),
}

fn main() -> ExitCode {
    // What is said in a chat is for its people: every file and folder that is made is its owner's alone.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.exit_code() == 0 => {
            terminal::say(error.render().to_string().trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            terminal::complain(&failure::usage_in_one_line(&error.render().to_string()));
            return ExitCode::from(failure::WRONG_USAGE);
        }
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&failure::sentence(&error));
            ExitCode::from(failure::exit_status(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve { settings, stop_with_stdin } => {
            let settings = Settings::load(&settings)?;
            logs::start(&settings.log);
            open_files::raise_limit();
            if stop_with_stdin {
                signals::stop_with_stdin();
            }
            serve::run(settings)
        }
        Command::Status(arguments) => status::run(&arguments),
        Command::Backup(arguments) => copies::backup(&arguments),
        Command::Export(arguments) => portable::export(&arguments),
        Command::Import(arguments) => portable::import(&arguments),
        Command::Restore(arguments) => copies::restore(&arguments),
        Command::Members(arguments) => members::run(&arguments),
        Command::TransferLeader(arguments) => members::transfer(&arguments),
        Command::Admin(arguments) => admin::run(&arguments),
        Command::Check(arguments) => copies::check(&arguments),
        Command::Recover(arguments) => copies::recover(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Chat(arguments) => chat::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_one_line() {
        for (arguments, expected) in [
            (&[][..], "'replicated-chat' requires a subcommand"),
            (&["serve"], "the following required arguments were not provided: <SETTINGS.toml>"),
            (
                &["demo", "--node", "3"],
                "unexpected argument '--node' found tip: a similar argument exists: '--nodes'",
            ),
            (&["demo", "--nodes", "0"], "invalid value '0' for '--nodes <NODES>'"),
            (&["members"], "'replicated-chat members"),
            (&["members", "node1.toml"], "'replicated-chat members"),
            (&["fly"], "unrecognized subcommand 'fly'"),
        ] {
            let error = Arguments::try_parse_from([&["replicated-chat"], arguments].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let line = failure::usage_in_one_line(&error.render().to_string());
            assert!(line.starts_with(expected), "{line}");
            assert!(line.ends_with("; see replicated-chat --help"), "{line}");
        }
    }

    #[test]
    fn help_and_version_everywhere() {
        for command in [
            &[][..],
            &["demo"],
            &["serve"],
            &["status"],
            &["backup"],
            &["restore"],
            &["export"],
            &["import"],
            &["members"],
            &["transfer-leader"],
            &["admin"],
            &["check"],
            &["recover"],
            &["bench"],
            &["chat"],
        ] {
            for flag in ["--help", "--version"] {
                let error =
                    Arguments::try_parse_from([&["replicated-chat"], command, &[flag]].concat()).unwrap_err();
                assert_eq!(error.exit_code(), 0, "{command:?} {flag}");
                assert!(!error.use_stderr());
            }
        }
    }
}
