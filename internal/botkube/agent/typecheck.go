package agent

import (
	"strings"
	"time"
)

// kinds are the values that [Config] does not need, by what the agent reads them as
// (pkg/config/config.go). It refuses a configuration in which one is of another kind, such as a
// duration without a unit. They are read for that alone: some are secret.
type kinds struct {
	Settings struct {
		ClusterName, MetricsPort, HealthPort string
		Kubeconfig, SACredentialsPathPrefix  string
		SystemConfigMap                      resourceKind
		PersistentConfig                     struct{ Startup, Runtime persistentKind }
		Log                                  struct {
			Level, Formatter string
			DisableColors    bool
		}
		LifecycleServer struct {
			Enabled bool
			Port    int
		}
		InformersResyncPeriod time.Duration
	}
	ConfigWatcher struct {
		Enabled            bool
		Remote             struct{ PollInterval time.Duration }
		InCluster          struct{ InformerResyncPeriod time.Duration }
		InitialSyncTimeout time.Duration
		TmpDir             string
		Deployment         resourceKind
	}
	Plugins struct {
		IncomingWebhook struct {
			Enabled          bool
			Port             int
			InClusterBaseURL string
		}
		RestartPolicy struct {
			Type      string
			Threshold int
		}
		HealthCheckInterval time.Duration
	}
	Communications   map[string]platformKinds
	Aliases, Actions map[string]struct{ DisplayName string }
}

type resourceKind struct{ Name, Namespace string }

type persistentKind struct {
	FileName  string
	ConfigMap resourceKind
}

type platformKinds struct {
	SocketSlack struct {
		Channels           map[string]channelKinds
		BotToken, AppToken string
	}
	CloudSlack struct {
		Channels map[string]struct {
			channelKinds
			ChannelID string
			Alias     *string
		}
		Token, BotID                    string
		Server                          serverKinds
		ExecutionEventStreamingDisabled bool
	}
	Mattermost struct {
		Channels             map[string]channelKinds
		BotName, Token, Team string
	}
	Discord struct {
		Channels     map[string]numberedKinds
		Token, BotID string
	}
	CloudTeams struct {
		BotName string
		Server  serverKinds
		Teams   []struct {
			ID       string
			Channels map[string]numberedKinds
		}
	}
	Elasticsearch struct {
		Username, Password, LogLevel string
		SkipTLSVerify                bool
		AWSSigning                   struct{ AWSRegion, RoleArn string }
		Indices                      map[string]struct {
			Name, Type       string
			Shards, Replicas int
		}
	}
	Slack struct {
		Channels map[string]channelKinds
		Token    string
	}
	Teams     struct{ BotName, AppID, AppPassword, Port, MessagePath string }
	PagerDuty struct{ IntegrationKey string }
}

type numberedKinds struct {
	ID           string
	Notification struct{ Disabled bool }
}

type channelKinds struct {
	Name            string
	Notification    struct{ Disabled bool }
	MessageTriggers []struct {
		Event                   string
		Text                    struct{ Include, Exclude []string }
		Users                   struct{ Exclude []string }
		Command                 string
		Executors               []string
		ProcessedEmojiIndicator *string
	}
}

type serverKinds struct {
	DisableTransportSecurity bool
	TLS                      struct {
		// No text can be one: the agent splits it into lists before it makes bytes of it.
		CACertificate                         []byte
		UseSystemCertPool, InsecureSkipVerify bool
	}
}

// Since which version agents read a value, and from which on they do not.
var kindUntil = map[string]string{
	"settings.lifecycleServer":         "v1.9.0",
	"configWatcher.initialSyncTimeout": "v1.5.0",
	"configWatcher.tmpDir":             "v1.5.0",
}

var kindSince = map[string]string{
	"settings.saCredentialsPathPrefix": "v1.1.0",
	"settings.log.formatter":           "v1.2.0",
	"plugins.incomingWebhook":          "v1.4.0",
	"plugins.restartPolicy":            "v1.5.0",
	"plugins.healthCheckInterval":      "v1.5.0",
	"configWatcher.inCluster":          "v1.5.0",
	"elasticsearch.logLevel":           "v1.5.0",
	"messageTriggers":                  "v1.6.0",
	"server.disableTransportSecurity":  "v1.7.0",
	"server.tls":                       "v1.7.0",

	"cloudSlack.executionEventStreamingDisabled": "v1.3.0",
	// Of a channel of cloudSlack.
	"channelID": "v1.13.0",
	"alias":     "v1.13.0",
}

// readKind reports whether agents of a version read a value at all.
func readKind(version, setting string) bool {
	within := func(part string) bool { return strings.Contains("."+setting+".", "."+part+".") }
	for part, first := range kindSince {
		if within(part) && !Since(version, first) {
			return false
		}
	}
	for part, without := range kindUntil {
		if within(part) && Since(version, without) {
			return false
		}
	}
	parts := strings.Split(setting, ".")
	return parts[0] != "communications" || len(parts) < 3 || hasPlatform(version, parts[2])
}
