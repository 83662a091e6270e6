//! Routes in files of their own: read with the others, and taken over as they come, change and go.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// A gateway that includes what teams write, and the folder where they do.
async fn gateway(upstream: &Upstream, watch: &str) -> (Gateway, PathBuf) {
    let gateway = Plan::to(upstream.address).server(watch).start().await;
    let folder = gateway.file().parent().unwrap().join("routes.d");
    fs::create_dir(&folder).unwrap();
    let includes = |text: String| format!("include = \"routes.d/*.toml\"\n{text}");
    let (status, said) = gateway.reloaded(includes).await;
    assert_eq!((status, &*said), (200, "reloaded: 2 routes, 1 warnings\n"));
    (gateway, folder)
}

/// A team's file, in one move as mounts and good editors do it.
fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(".new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join(name)).unwrap();
}

fn priced(path: &str, price: &str) -> String {
    format!(
        "[[routes]]\nmatch = \"GET {path}\"\nupstream = \"api\"\nprice = \"{price}\"\n\
         networks = [\"base-sepolia\"]\n"
    )
}

#[tokio::test]
async fn a_team_sets_the_price_of_its_own_route() {
    let upstream = Upstream::start().await;
    let (gateway, folder) = gateway(&upstream, "").await;
    let paid = async |units: u64| {
        let payment = Wallet::new(1).pays_units(units);
        gateway.ask("GET", "/team").pays(&payment).send().await
    };
    assert_eq!(paid(20_000).await.status, 404);
    write(&folder, "team.toml", &priced("/team", "$0.02"));
    assert_eq!(gateway.reloaded(|text| text).await.0, 200);
    assert_eq!(paid(20_000).await.status, 200);
    // A mistake of theirs leaves all as it is, and names their file.
    write(&folder, "team.toml", &priced("/team", "2 cents"));
    let (status, said) = gateway.reloaded(|text| text).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.contains("routes.d/team.toml:4:9: `2 cents` is not a price"), "{said}");
    assert_eq!(paid(20_000).await.status, 200);
    assert_eq!(upstream.seen().len(), 2);
}

/// The file that includes is none of its own, and what is no file is not waited for.
#[test]
fn a_file_does_not_include_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = "include = \"*.toml\"\nledger.url = \"memory:\"\n";
    fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.toml")).status();
    assert!(pipe.unwrap().success());
    for name in ["gateway.toml", "./gateway.toml"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let output = command.arg("check").arg(name).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("no file is there that this is for"), "{name}: {output:?}");
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

#[tokio::test]
async fn files_that_come_change_and_go_are_noticed() {
    let upstream = Upstream::start().await;
    let (gateway, folder) = gateway(&upstream, "watch = \"on\"").await;
    let becomes = async |what: &str, wanted: u16| {
        let is = async || gateway.ask("GET", "/team").send().await.status;
        eventually(what, async || (is().await == wanted).then_some(())).await;
    };
    let stale = async |wanted: &str| {
        let is = async || gateway.metric("tollgate_configuration_stale").await;
        eventually("the metric", async || (is().await.as_deref() == Some(wanted)).then_some(()))
            .await;
    };
    becomes("nothing there", 404).await;
    // The first of a file is a mistake: nobody has read it before.
    write(&folder, "team.toml", &priced("/team", "2 cents"));
    stale("1").await;
    write(&folder, "team.toml", &priced("/team", "$0.02"));
    becomes("a file that has come", 402).await;
    stale("0").await;
    let free = "[[routes]]\nmatch = \"GET /team\"\nupstream = \"api\"\nprice = \"free\"\n";
    write(&folder, "team.toml", free);
    becomes("a file that has changed", 200).await;
    fs::remove_file(folder.join("team.toml")).unwrap();
    becomes("a file that is gone", 404).await;
}
