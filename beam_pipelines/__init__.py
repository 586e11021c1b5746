"""Apache Beam stages: the only importer of Beam."""
