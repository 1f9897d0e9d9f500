# The parts of the observability stack that the cluster manager uses, where var.with_cos asks for them.

locals {
  cos = var.with_cos ? 1 : 0
}

resource "juju_application" "prometheus" {
  count = local.cos
  name  = "prometheus-k8s"
  model = var.model
  trust = true

  charm {
    name    = "prometheus-k8s"
    channel = "1/stable"
  }
}

resource "juju_application" "loki" {
  count = local.cos
  name  = "loki-k8s"
  model = var.model
  trust = true

  charm {
    name    = "loki-k8s"
    channel = "1/stable"
  }
}

resource "juju_application" "grafana" {
  count = local.cos
  name  = "grafana-k8s"
  model = var.model
  trust = true

  charm {
    name    = "grafana-k8s"
    channel = "1/stable"
  }
}

resource "juju_integration" "metrics_endpoint" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "metrics-endpoint"
  }

  application {
    name     = juju_application.prometheus[0].name
    endpoint = "metrics-endpoint"
  }
}

resource "juju_integration" "send_remote_write" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "send-remote-write"
  }

  application {
    name     = juju_application.prometheus[0].name
    endpoint = "receive-remote-write"
  }
}

resource "juju_integration" "logging" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "logging"
  }

  application {
    name     = juju_application.loki[0].name
    endpoint = "logging"
  }
}

resource "juju_integration" "grafana_dashboard" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "grafana-dashboard"
  }

  application {
    name     = juju_application.grafana[0].name
    endpoint = "grafana-dashboard"
  }
}

resource "juju_integration" "grafana_metadata" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "grafana-metadata"
  }

  application {
    name     = juju_application.grafana[0].name
    endpoint = "grafana-metadata"
  }
}

resource "juju_integration" "prometheus_source" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.grafana[0].name
    endpoint = "grafana-source"
  }

  application {
    name     = juju_application.prometheus[0].name
    endpoint = "grafana-source"
  }
}

resource "juju_integration" "loki_source" {
  count = local.cos
  model = var.model

  application {
    name     = juju_application.grafana[0].name
    endpoint = "grafana-source"
  }

  application {
    name     = juju_application.loki[0].name
    endpoint = "grafana-source"
  }
}
