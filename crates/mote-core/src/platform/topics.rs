//! The verbs of topics: publish, and who is subscribed.

use super::{House, to_the_end};
use crate::action::Done;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::function::delivery::Destination;
use crate::topic::Subscriber;

impl House {
    pub(super) async fn subscribe(&self, namespace: Name, mut subscriber: Subscriber) -> Result<Done> {
        if let Destination::Topic(to) = &subscriber.to {
            return Err(Error::new(Code::DestinationInvalid, format!("the topic {to} can't be subscribed to another topic"))
                .hint("Subscribe a function, a queue or a webhook; a function may publish again."));
        }
        subscriber.created = self.invoker.clock.now();
        let house = self.clone();
        let done = async move { house.invoker.topics.subscribe(house.catalog(), &namespace, subscriber).await };
        Ok(Done::Subscribers(vec![to_the_end(done).await?]))
    }

    pub(super) async fn unsubscribe(&self, namespace: Name, topic: Name, name: Name) -> Result<Done> {
        let house = self.clone();
        to_the_end(async move { house.invoker.topics.unsubscribe(house.catalog(), &namespace, &topic, &name).await }).await?;
        Ok(Done::Nothing)
    }
}
