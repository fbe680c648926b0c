/*
 * What a reply must hold before anybody may use it, and what its request is about. Room-private,
 * for the table in cri_methods.c. All errors are UNKNOWN, as the kubelet's own are. Pure.
 */
#pragma once

#include "cri/cri_methods.h"

cri_check cri_check_version, cri_check_status, cri_check_run_pod_sandbox,
    cri_check_pod_sandbox_status, cri_check_create_container, cri_check_container_status,
    cri_check_exec, cri_check_attach, cri_check_port_forward, cri_check_image_status,
    cri_check_pull_image;

char *cri_subject_run_pod_sandbox(const ProtobufCMessage *request);
char *cri_subject_create_container(const ProtobufCMessage *request);
char *cri_subject_image_status(const ProtobufCMessage *request);
char *cri_subject_pull_image(const ProtobufCMessage *request);
char *cri_subject_exec_sync(const ProtobufCMessage *request);
