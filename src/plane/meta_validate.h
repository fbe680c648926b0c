/*
 * The rules every object's metadata must follow, with kube-apiserver's paths and words
 * (apimachinery/pkg/api/validation). What REST keeps by itself (uid, times, generation) is not
 * asked again. Pure. Any thread.
 */
#pragma once

#include "kube/validation.h"

/** Namespaced kinds need a namespace, the others may not have one. */
enum meta_scope { META_CLUSTER, META_NAMESPACED };

/**
 * Records what is wrong with @meta at "metadata": name (by @rule) and generateName (the same, with
 * a trailing dash allowed), namespace, labels, annotations and their total size, owner references,
 * finalizers.
 */
void meta_validate(struct validation *v, const Meta__ObjectMeta *meta, enum meta_scope scope,
                   name_rule *rule);
/** The same for a change: the name cannot have changed any more; no finalizer may be added to an
 * object that is going. */
void meta_validate_update(struct validation *v, const Meta__ObjectMeta *meta,
                          const Meta__ObjectMeta *old);
/** Only what a change adds to the rules of a new object. */
void meta_validate_new_finalizers(struct validation *v, const Meta__ObjectMeta *meta,
                                  const Meta__ObjectMeta *old);

/** Service names: a label that begins with a letter (RFC 1035). */
name_rule name_rule_dns1035_label;
/** Names that only have to fit into a path. */
name_rule name_rule_path_segment;
