"""Sockets below or beside TCP and UDP; families by number, as not every Python knows all."""

import socket

from kit import attempts


def run():
    def opened(*arguments):
        return socket.socket(*arguments)

    return attempts(
        raw_icmp=(opened, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        raw_any=(opened, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        raw_v6=(opened, socket.AF_INET6, socket.SOCK_RAW, 58),
        packet=(opened, 17, socket.SOCK_RAW, 0x300),
        packet_cooked=(opened, 17, socket.SOCK_DGRAM, 0x300),
        vsock=(opened, 40, socket.SOCK_STREAM),
        bluetooth=(opened, 31, socket.SOCK_RAW, 1),
        kernel_crypto=(opened, 38, socket.SOCK_SEQPACKET),
        can=(opened, 29, socket.SOCK_RAW, 1),
        netfilter=(opened, 16, socket.SOCK_RAW, 12),
        audit=(opened, 16, socket.SOCK_RAW, 9),
        events=(opened, 16, socket.SOCK_RAW, 15),
        tipc=(opened, 30, socket.SOCK_SEQPACKET),
        rds=(opened, 21, socket.SOCK_SEQPACKET),
        xdp=(opened, 44, socket.SOCK_RAW),
    )
