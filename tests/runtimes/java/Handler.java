// What the event says to do, on the published Java runtime client of AWS Lambda.
package app;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

public class Handler implements RequestHandler<Map<String, Object>, Object> {
    private static int count;

    @Override
    public Object handleRequest(Map<String, Object> event, Context context) {
        count++;
        switch (String.valueOf(event.get("do"))) {
            case "fail":
                throw new IllegalStateException("boom!");
            case "exit":
                System.exit(1);
                break;
            case "hang":
                try {
                    Thread.sleep(60_000);
                } catch (InterruptedException interrupted) {
                    return null;
                }
                break;
            case "large":
                return "x".repeat(6_291_555);
            case "print":
                context.getLogger().log("one\n");
                System.out.println("two");
                break;
            default:
        }
        return Map.of("got", event, "rid", context.getAwsRequestId(), "count", count);
    }
}
