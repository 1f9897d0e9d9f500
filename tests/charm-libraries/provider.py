"""A charm on the other side of a relation, made of the published library of its interface and run by the test framework of ops.

Reads {"endpoint", "theirs", "ours"} as JSON from standard input: the requirer's application databag, and what this charm has
written so far. Writes {"app", "unit"} to standard output: what it has written then.
"""

import json
import sys
from datetime import timedelta

import ops
from charmlibs.interfaces import certificate_transfer as transfer
from charmlibs.interfaces import tls_certificates as tls
from ops import testing

KEY = tls.generate_private_key()
AUTHORITY = tls.generate_ca(KEY, timedelta(days=365), "test authority")


class Certificates(ops.CharmBase):
    """Signs every request that has no answer."""

    INTERFACE = "tls-certificates"

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.library = tls.TLSCertificatesProvidesV4(self, "certificates")
        framework.observe(self.on["certificates"].relation_changed, self._answer)

    def _answer(self, event: ops.RelationChangedEvent) -> None:
        for request in self.library.get_outstanding_certificate_requests():
            csr = request.certificate_signing_request
            leaf = tls.generate_certificate(csr, AUTHORITY, KEY, timedelta(days=90))
            answer = tls.ProviderCertificate(event.relation.id, leaf, csr, AUTHORITY, [leaf, AUTHORITY])
            self.library.set_relation_certificate(answer)


class Authorities(ops.CharmBase):
    """Hands out the certificate of its authority."""

    INTERFACE = "certificate_transfer"

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.library = transfer.CertificateTransferProvides(self, "send-ca-cert")
        framework.observe(self.on["send-ca-cert"].relation_changed, self._answer)

    def _answer(self, event: ops.RelationChangedEvent) -> None:
        self.library.add_certificates({str(AUTHORITY)}, event.relation.id)


CHARMS = {"certificates": Certificates, "send-ca-cert": Authorities}


def main() -> None:
    told = json.load(sys.stdin)
    endpoint, charm = told["endpoint"], CHARMS[told["endpoint"]]
    meta = {"name": "provider", "provides": {endpoint: {"interface": charm.INTERFACE}}}
    relation = testing.Relation(
        endpoint,
        interface=charm.INTERFACE,
        remote_app_data=told["theirs"],
        local_app_data=told["ours"]["app"],
        local_unit_data=told["ours"]["unit"],
    )
    context = testing.Context(charm, meta=meta)
    state = testing.State(leader=True, relations={relation})
    after = context.run(context.on.relation_changed(relation, remote_unit=0), state).get_relation(relation.id)
    json.dump({"app": after.local_app_data, "unit": after.local_unit_data}, sys.stdout)


main()
