//! The vault over a catalog that can be read and changed behind its back.

use std::sync::Arc;

use mote_core::Code;
use mote_core::error::Result;
use mote_core::function::Name;
use mote_core::secret::cipher::{Cipher, Key};
use mote_core::secret::vault::{SECRETS_MAX, Vault};
use mote_core::secret::{Secret, Secrets};
use mote_core::store::{Catalog, Write};
use mote_testkit::{FakeClock, MemoryStore};

struct Shelf {
    clock: Arc<FakeClock>,
    store: Arc<MemoryStore>,
}

impl Shelf {
    fn new() -> Shelf {
        let clock = Arc::new(FakeClock::default());
        Shelf { store: MemoryStore::new(clock.clone()), clock }
    }

    async fn open(&self, key: u8) -> Result<Vault> {
        let cipher = Arc::new(Cipher::new(&Key::new([key; Key::BYTES]), self.clock.clone()));
        Vault::open(self.store.clone(), cipher, self.clock.clone()).await
    }

    /// Puts the bytes of one record in the place of another.
    async fn copy(&self, from: &str, to: &str) {
        let value = self.store.get(from).await.unwrap().unwrap().value;
        let expect = self.store.get(to).await.unwrap().map_or(0, |record| record.revision);
        self.store.commit(vec![Write::Put { key: to.into(), expect, value }]).await.unwrap();
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_value_comes_back_to_an_engine_and_lies_sealed() {
    let shelf = Shelf::new();
    let vault = shelf.open(1).await.unwrap();
    let (ns, db) = (Name::default_namespace(), name("db"));
    assert_eq!(vault.set(&ns, &db, &secret("hunter2hunter2")).await.unwrap().generation, 1);
    assert_eq!(vault.set(&ns, &db, &secret("correct horse")).await.unwrap().generation, 2);
    assert_eq!(vault.reveal(&ns, &db).await.unwrap().reveal(), b"correct horse");
    assert_eq!(vault.list(&ns).await.unwrap().len(), 1);
    assert!(vault.list(&name("other")).await.unwrap().is_empty());
    for record in shelf.store.scan("", None, 100).await.unwrap() {
        assert!(!String::from_utf8_lossy(&record.value).contains("horse"), "{}", record.key);
    }
    // Opened again, as after a restart.
    assert_eq!(shelf.open(1).await.unwrap().reveal(&ns, &db).await.unwrap().reveal(), b"correct horse");
    vault.remove(&ns, &db).await.unwrap();
    assert_eq!(vault.reveal(&ns, &db).await.unwrap_err().code(), Code::SecretNotFound);
    assert_eq!(vault.remove(&ns, &db).await.unwrap_err().code(), Code::SecretNotFound);
}

#[tokio::test]
async fn another_key_is_refused_before_it_does_harm() {
    let shelf = Shelf::new();
    assert!(!Vault::is_begun(&*shelf.store).await.unwrap());
    shelf.open(1).await.unwrap();
    assert!(Vault::is_begun(&*shelf.store).await.unwrap());
    let error = shelf.open(2).await.err().unwrap();
    assert!(error.hint_text().unwrap().contains("secret.key"), "{error}");
    assert!(shelf.open(1).await.is_ok());
}

#[tokio::test]
async fn records_can_not_be_swapped() {
    let shelf = Shelf::new();
    let vault = shelf.open(1).await.unwrap();
    let ns = Name::default_namespace();
    for (ns, key) in [("default", "mine"), ("default", "yours"), ("other", "mine")] {
        vault.set(&name(ns), &name(key), &secret(&format!("{ns}/{key}"))).await.unwrap();
    }
    for from in ["secrets/default/yours", "secrets/other/mine"] {
        shelf.copy(from, "secrets/default/mine").await;
        let error = vault.reveal(&ns, &name("mine")).await.unwrap_err();
        assert_eq!(error.code(), Code::StoreFailed, "{from}");
    }
    assert_eq!(vault.reveal(&ns, &name("yours")).await.unwrap().reveal(), b"default/yours");
}

#[tokio::test]
async fn size_and_number_are_bounded() {
    let shelf = Shelf::new();
    let vault = shelf.open(1).await.unwrap();
    let ns = Name::default_namespace();
    assert!(vault.set(&ns, &name("full"), &Secret::new(vec![0; Secret::BYTES_MAX])).await.is_ok());
    let error = vault.set(&ns, &name("over"), &Secret::new(vec![0; Secret::BYTES_MAX + 1])).await.unwrap_err();
    assert_eq!(error.code(), Code::BodyTooLarge);
    for number in 1..SECRETS_MAX {
        vault.set(&ns, &name(&format!("s{number}")), &secret("v")).await.unwrap();
    }
    assert_eq!(vault.set(&ns, &name("more"), &secret("v")).await.unwrap_err().code(), Code::QuotaExceeded);
    assert!(vault.set(&ns, &name("s1"), &secret("new")).await.is_ok(), "one that is there may change");
    assert!(vault.set(&name("other"), &name("more"), &secret("v")).await.is_ok(), "another namespace has its own");
}

#[tokio::test]
async fn a_namespace_that_holds_secrets_is_known_once() {
    let vault = Shelf::new().open(1).await.unwrap();
    assert!(vault.namespaces().await.unwrap().is_empty());
    for (namespace, of) in [("shop", "a"), ("shop", "b"), ("shop-2", "a"), ("default", "z")] {
        vault.set(&name(namespace), &name(of), &secret("v")).await.unwrap();
    }
    assert_eq!(vault.namespaces().await.unwrap(), ["default", "shop-2", "shop"].map(name));
}
