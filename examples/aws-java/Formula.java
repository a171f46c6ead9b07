// The formula, as a handler of AWS Lambda's published Java library.
package app;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

public class Formula implements RequestHandler<Map<String, Double>, Double> {
    @Override
    public Double handleRequest(Map<String, Double> event, Context context) {
        return (event.get("a") + event.get("b")) * event.get("c");
    }
}
