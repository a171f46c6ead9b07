import urllib.parse
import urllib.request


def thermostat(event, context):
    """Switches a room's heating by its temperature, and keeps what it has seen."""
    room = event["subject"].split("/")[1]
    celsius = float(event["data"])
    context.bucket("rooms").put(f"{room}/{event['time']}", str(celsius).encode())
    heating = "on" if celsius < 19 else "off"
    topic = urllib.parse.quote(f"rooms/{room}/heating", safe="")
    urllib.request.urlopen(f"http://events.mote/mqtt?topic={topic}&qos=1&retain=1", data=heating.encode()).close()
    print(f"{room}: {celsius} °C, heating {heating}")
