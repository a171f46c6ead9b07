"""The bridge to a real broker: both ways, while either side goes down and comes again."""

from servers import Mosquitto, Mote

MESSAGES = 240
PATIENCE = 90


def gather(client, count):
    """The messages' texts, once there are so many different ones; some may come twice."""
    texts = set()
    while len(texts) < count:
        texts.add(client.got.get(timeout=PATIENCE).payload.decode())
    return texts


def test_nothing_is_lost_over_a_restart_of_either_side_v3(world):
    there = world.serve(Mosquitto(world.folder()))
    bridge = f"mqtt://127.0.0.1:{there.port}/default?in=in/%23&out=out/%23"
    data = world.folder()
    here = world.serve(Mote(world.mote, data, bridge))
    there.says("Received SUBSCRIBE from mote-default")
    far = world.client(name="far", clean=False, server=there)
    far.subscribe("out/#", 1)
    near = world.client(name="near", clean=False, server=here)
    near.subscribe("in/#", 1)
    into, out = world.client(server=there), world.client(server=here)

    expect = [str(n) for n in range(MESSAGES)]
    down, up, kill = MESSAGES // 3, MESSAGES // 2, MESSAGES * 3 // 4
    for n, text in enumerate(expect):
        if n == down:
            into.leave()
            there.stop()
        if n == up:
            there.start()
            into = world.client(server=there)
            for late in expect[down:up]:
                into.publish(f"in/{late}", late, 1)
        if n == kill:
            near.leave()
            here.kill()
            here = world.serve(Mote(world.mote, data, bridge))
            near = world.client(name="near", clean=False, server=here, got=near.got)
            out = world.client(server=here)
        if not down <= n < up:
            into.publish(f"in/{text}", text, 1)
        out.publish(f"out/{text}", text, 1)
    assert gather(far, MESSAGES) == set(expect)
    assert gather(near, MESSAGES) == set(expect)
