"""The page of the app: drop a file, see the answer and why. It knows the service of `apps.service` by HTTP only."""
