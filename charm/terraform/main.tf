# A cluster manager with everything that it needs. The test tools/packager/tests/deployment.rs holds it against charmcraft.yaml.

resource "juju_application" "manager" {
  name  = var.app_name
  model = var.model
  units = var.units

  charm {
    name     = "microcloud-cluster-manager-k8s"
    channel  = var.channel
    revision = var.revision
  }

  config = merge(var.config, {
    "management-api-domain"    = var.management_api_domain
    "cluster-connector-domain" = var.cluster_connector_domain
  })
}

resource "juju_application" "postgresql" {
  name  = "postgresql-k8s"
  model = var.model
  trust = true

  charm {
    name    = "postgresql-k8s"
    channel = var.postgresql_channel
  }
}

resource "juju_application" "certificates" {
  name  = "self-signed-certificates"
  model = var.model

  charm {
    name    = "self-signed-certificates"
    channel = "latest/stable"
  }
}

resource "juju_application" "traefik" {
  name  = "traefik-k8s"
  model = var.model
  trust = true

  charm {
    name    = "traefik-k8s"
    channel = "latest/stable"
  }
}

resource "juju_integration" "database" {
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "database"
  }

  application {
    name     = juju_application.postgresql.name
    endpoint = "database"
  }
}

resource "juju_integration" "certificates" {
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "certificates"
  }

  application {
    name     = juju_application.certificates.name
    endpoint = "certificates"
  }
}

resource "juju_integration" "send_ca_cert" {
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "send-ca-cert"
  }

  application {
    name     = juju_application.certificates.name
    endpoint = "send-ca-cert"
  }
}

resource "juju_integration" "traefik_route" {
  model = var.model

  application {
    name     = juju_application.manager.name
    endpoint = "traefik-route"
  }

  application {
    name     = juju_application.traefik.name
    endpoint = "traefik-route"
  }
}
