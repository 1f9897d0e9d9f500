output "app_name" {
  description = "Name of the application."
  value       = juju_application.manager.name
}

output "endpoints" {
  description = "Endpoints for what this module leaves to others."
  value = {
    oauth            = "oauth"
    ingress          = "ingress"
    charm_tracing    = "charm-tracing"
    workload_tracing = "workload-tracing"
  }
}
