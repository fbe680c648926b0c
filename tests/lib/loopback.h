/*
 * A listening TCP socket at 127.0.0.1, with a port of the kernel's choice; blocking calls only on
 * what is known to be there.
 */
#pragma once

#include "tests/lib/test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static inline UNUSED int loopback_listen(int backlog, uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/** A port at which nobody listens (for a while, at least). */
static inline UNUSED uint16_t loopback_free_port(void)
{
    uint16_t port = 0;
    (void)close(loopback_listen(1, &port));
    return port;
}

/** Accepts what has connected; -1 when nobody has. Non-blocking. */
static inline UNUSED int loopback_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
