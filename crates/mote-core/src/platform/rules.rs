//! Rules: one comes, changes or goes.

use super::{House, to_the_end};
use crate::action::Done;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::function::delivery::Destination;
use crate::rule::Rule;

impl House {
    pub(super) async fn set_rule(&self, rule: Rule, expect: Option<u64>) -> Result<Done> {
        self.invoker.dialects.get(&rule.dialect)?;
        if let Some(target) = rule.targets.iter().find(|target| matches!(target.to, Destination::Webhook(_))) {
            return Err(Error::new(Code::DestinationInvalid, format!("the target {} is a webhook", target.id))
                .hint("Let the rule tell a topic to which the webhook is subscribed."));
        }
        if let Some(timer) = &rule.timer {
            timer.options.check()?;
        }
        let house = self.clone();
        to_the_end(async move { house.invoker.topics.rules.set(house.catalog(), rule, expect).await }).await?;
        Ok(Done::Nothing)
    }

    pub(super) async fn show_rule(&self, namespace: &Name, group: &Name, name: &Name) -> Result<Done> {
        let (rule, revision) = self.invoker.topics.rules.show(self.catalog(), namespace, group, name).await?;
        Ok(Done::Rule(Box::new(rule), revision))
    }

    pub(super) async fn remove_rule(&self, namespace: Name, group: Name, name: Name) -> Result<Done> {
        let house = self.clone();
        to_the_end(async move { house.invoker.topics.rules.remove(house.catalog(), &namespace, &group, &name, None).await }).await?;
        Ok(Done::Nothing)
    }
}
