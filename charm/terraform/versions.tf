terraform {
  required_version = ">= 1.6"
  required_providers {
    juju = {
      source = "juju/juju"
      # From 1.0 on the provider wants the identifier of a model where this module gives its name.
      version = ">= 0.20, < 1.0"
    }
  }
}
