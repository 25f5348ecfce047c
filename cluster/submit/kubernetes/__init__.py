"""Kubernetes: manifests of JobSet and KubeRay, sent by kubectl. It may import what is beside it in `cluster.submit`."""
