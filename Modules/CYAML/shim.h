// libyaml's event API (package libyaml-dev). Only the module Settings imports this.
#include <yaml.h>
