//! Services of the gateway for adapters, found by their type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Handles by their type: the embedded broker, the newest values, a simulated radio. Clones share the same.
#[derive(Clone, Default)]
pub struct Services(Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>);

impl Services {
    /// Lends `service` from now on, in place of an earlier one of its type.
    pub fn insert<T: Clone + Send + 'static>(&self, service: T) {
        self.lock().insert(TypeId::of::<T>(), Box::new(service));
    }

    /// The service of this type, where there is one.
    #[must_use]
    pub fn get<T: Clone + Send + 'static>(&self) -> Option<T> {
        self.lock().get(&TypeId::of::<T>()).and_then(|service| service.downcast_ref::<T>()).cloned()
    }

    /// The service of this type; the first who asks makes it, and all share it.
    #[must_use]
    pub fn shared<T: Clone + Default + Send + 'static>(&self) -> T {
        let mut services = self.lock();
        let service = services.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        service.downcast_ref::<T>().cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TypeId, Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_type_and_shared_by_clones() {
        let services = Services::default();
        assert_eq!(services.get::<u8>(), None);
        let clone = services.clone();
        clone.insert(7_u8);
        assert_eq!(services.get::<u8>(), clone.get::<u8>());
        let counter: Arc<Mutex<u32>> = services.shared();
        *counter.lock().unwrap() = 3;
        assert_eq!(*services.shared::<Arc<Mutex<u32>>>().lock().unwrap(), 3);
    }
}
