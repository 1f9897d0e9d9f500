variable "model" {
  description = "Name of the model to deploy into. It must exist."
  type        = string
}

variable "app_name" {
  description = "Name of the application."
  type        = string
  default     = "microcloud-cluster-manager-k8s"
}

variable "channel" {
  description = "Channel of the charm."
  type        = string
  default     = "latest/edge"
}

variable "revision" {
  description = "Revision of the charm; the newest of the channel where it is null."
  type        = number
  default     = null
}

variable "units" {
  description = "Number of units."
  type        = number
  default     = 1
}

variable "config" {
  description = "Options of the charm. Login needs oidc-issuer and oidc-client-id, or the relation oauth."
  type        = map(string)
  default     = {}
}

variable "management_api_domain" {
  description = "Host name under which people open the web page."
  type        = string
}

variable "cluster_connector_domain" {
  description = "Host name that clusters connect to."
  type        = string
}

variable "postgresql_channel" {
  description = "Channel of PostgreSQL."
  type        = string
  default     = "14/stable"
}

variable "with_cos" {
  description = "Also deploy Prometheus, Loki and Grafana, and observe the cluster manager with them."
  type        = bool
  default     = false
}
