"""Files of users: an application with a resource of its own behind `AuthLayer`."""
