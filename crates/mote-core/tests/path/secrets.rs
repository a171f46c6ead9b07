//! Secrets through the verbs: who may remove one, what a deploy insists on, who gets a new value.

use mote_core::Code;
use mote_core::action::{Action, Done, SecretEntry};
use mote_core::error::Result;
use mote_core::function::Name;
use mote_testkit::ScriptedEngine;

use crate::house::{Scene, reference};

impl Scene {
    async fn set(&self, name: &str, value: &str) -> Result<u64> {
        let namespace = Name::default_namespace();
        let action = Action::SetSecret { namespace, name: name.parse().unwrap(), value: value.to_owned().into() };
        match self.admin(action).await? {
            Done::Secret(info) => Ok(info.generation),
            _ => panic!("no secret was set"),
        }
    }

    async fn remove_secret(&self, name: &str, force: bool) -> Result<()> {
        let namespace = Name::default_namespace();
        self.admin(Action::RemoveSecret { namespace, name: name.parse().unwrap(), force }).await.map(drop)
    }

    async fn secrets(&self) -> Vec<SecretEntry> {
        match self.admin(Action::ListSecrets { namespace: Name::default_namespace() }).await.unwrap() {
            Done::Secrets(secrets) => secrets,
            _ => panic!("no list"),
        }
    }

    fn renewed(&self) -> Vec<String> {
        self.engine.diary().into_iter().filter(|line| line.starts_with("renew")).collect()
    }
}

#[tokio::test]
async fn a_version_that_asks_for_a_missing_secret_is_not_deployed() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let error = scene.deploy(&[("f.py", "secret db")]).await.unwrap_err();
    assert_eq!(error.code(), Code::SecretNotFound);
    assert!(error.to_string().contains("db") && error.hint_text().unwrap().contains("mote secret set db"), "{error}");
    assert!(scene.engine.diary().is_empty(), "nothing was built for it");
    scene.set("db", "v").await.unwrap();
    scene.deploy(&[("f.py", "secret db")]).await.unwrap();
}

#[tokio::test]
async fn a_rollback_to_a_version_whose_secret_is_gone_is_refused() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.set("db", "v").await.unwrap();
    scene.deploy(&[("f.py", "secret db")]).await.unwrap();
    scene.deploy(&[("f.py", "plain")]).await.unwrap();
    scene.remove_secret("db", false).await.expect("the live version does not use it");
    let error = scene.admin(Action::Point { function: reference("f"), version: None }).await.err().unwrap();
    assert_eq!(error.code(), Code::SecretNotFound);
}

#[tokio::test]
async fn a_secret_in_use_is_removed_by_force_alone() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.set("db", "v").await.unwrap();
    scene.deploy(&[("f.py", "secret db"), ("g.py", "plain")]).await.unwrap();
    let listed = scene.secrets().await;
    assert_eq!(listed.iter().map(|one| one.used_by.iter().map(Name::as_str).collect()).collect::<Vec<Vec<_>>>(), [["f"]]);
    let error = scene.remove_secret("db", false).await.unwrap_err();
    assert_eq!(error.code(), Code::SecretInUse);
    assert!(error.to_string().ends_with("used by f"), "{error}");
    scene.remove_secret("db", true).await.unwrap();
    assert!(scene.secrets().await.is_empty());
}

#[tokio::test]
async fn a_new_value_reaches_every_version_that_uses_it_and_no_other() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    assert_eq!(scene.set("db", "one").await.unwrap(), 1);
    scene.set("other", "v").await.unwrap();
    scene.deploy(&[("f.py", "secret db"), ("g.py", "secret other"), ("h.py", "plain")]).await.unwrap();
    scene.deploy(&[("f.py", "plain")]).await.unwrap();
    assert!(scene.renewed().is_empty());
    assert_eq!(scene.set("db", "two").await.unwrap(), 2);
    assert_eq!(scene.renewed(), ["renew f v1"], "not live, but it may be called by its number");
    scene.set("other", "w").await.unwrap();
    assert!(scene.renewed().contains(&"renew g v1".to_owned()));
}

#[tokio::test]
async fn a_value_that_is_set_during_a_deploy_is_not_missed() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.set("db", "one").await.unwrap();
    let building = scene.engine.building.lock().await;
    let set = async {
        scene.engine.wrote("prepare f v1").await;
        scene.set("db", "two").await.unwrap();
        assert!(scene.renewed().is_empty(), "nothing says yet that f uses it");
        drop(building);
    };
    let (deployed, ()) = futures_util::future::join(scene.deploy(&[("f.py", "secret db")]), set).await;
    deployed.unwrap();
    assert_eq!(scene.renewed(), ["renew f v1"]);
}

#[tokio::test]
async fn a_secret_of_another_namespace_does_not_count() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let action = Action::SetSecret { namespace: "other".parse().unwrap(), name: "db".parse().unwrap(), value: "v".into() };
    scene.admin(action).await.unwrap();
    assert_eq!(scene.deploy(&[("f.py", "secret db")]).await.unwrap_err().code(), Code::SecretNotFound);
}

#[tokio::test]
async fn an_action_says_nothing_of_the_value() {
    let action = Action::SetSecret { namespace: Name::default_namespace(), name: "db".parse().unwrap(), value: "hunter2hunter2".into() };
    assert!(!format!("{action:?}").contains("hunter2"), "{action:?}");
}
